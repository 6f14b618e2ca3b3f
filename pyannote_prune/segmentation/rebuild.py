"""Rebuild models from untrusted checkpoints"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pyannote.audio.core.task import Specifications

from ..files.schema import refuse, rule, section
from ..wavlm.config import WavLMConfig
from ..wavlm.units import UNITS
from ..wavlm.weights import check_keys, is_state_dict
from .model import WavLMSegmentation, without_task_modules
from .specifications import specifications_from_dict, specifications_to_dict


@dataclass(frozen=True)
class HyperParameters:
    """Arguments of `WavLMSegmentation`, as it saves them

    A file has the structure of its encoder, never the name of one to find somewhere else.
    """

    wavlm: dict[str, Any]
    conformer: dict[str, Any]
    units: tuple[str, ...] = rule((), choices=tuple(UNITS))
    wavlm_learning_rate: float = rule(2e-5, minimum=0)
    learning_rate: float = rule(1e-3, minimum=0)
    sample_rate: int = 16000
    num_channels: int = 1


def rebuild(checkpoint: Any, source: str) -> WavLMSegmentation:
    """Model of a checkpoint, of which nothing is taken for granted

    Parameters
    ----------
    checkpoint : dict
        What `save_checkpoint` saves. Weights are copied.
    source : str
        Where it comes from, for messages.

    Returns
    -------
    model : WavLMSegmentation
        In evaluation mode.

    Raises
    ------
    ValueError
        If it is not a checkpoint of `WavLMSegmentation`, if its hyper-parameters or specifications
        are impossible, or if its weights are not those of such a model.
    """
    try:
        hparams = checkpoint["hyper_parameters"]
        architecture = checkpoint["pyannote.audio"]["architecture"]["class"]
        specifications = checkpoint["pyannote.audio"]["specifications"]
        weights = checkpoint["state_dict"]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{source} must be a pyannote.audio checkpoint, found none: convert released "
            "models and WavLM weights with `pyannote-prune convert` first."
        ) from error
    if architecture != WavLMSegmentation.__name__:
        raise ValueError(
            f"{source} must be a checkpoint of WavLMSegmentation, found {architecture}: load "
            "it with pyannote.audio's `Model.from_pretrained`."
        )
    if not is_state_dict(weights):
        raise ValueError(f"`state_dict` of {source} must be made of names and tensors.")
    weights = without_task_modules(weights)
    try:
        hparams = _checked(hparams, num_tensors=len(weights))
        specifications = specifications_from_dict(specifications_to_dict(specifications))
        # no memory until it is known that the file has these weights, whatever it claims
        with torch.device("meta"):
            outline = _describe(hparams, specifications)
            outline.build()  # `setup` would move layers to a processor, with older Lightning
    # torch and torchaudio do not agree on what to raise for dimensions that are impossible
    except Exception as error:
        raise ValueError(f"{source} does not describe a WavLMSegmentation: {error}") from error
    check_keys(outline.state_dict(), weights, source)
    model = _describe(hparams, specifications)
    model.setup()
    model.load_state_dict(weights)
    return model.eval()


def _checked(hparams: Any, num_tensors: int) -> dict[str, Any]:
    plain = dict(hparams) if isinstance(hparams, Mapping) else hparams
    if isinstance(plain, dict) and not plain.get("units", True):
        del plain["units"]  # no gate
    checked = section(HyperParameters, plain, "hyper_parameters")
    for name, value in checked.conformer.items():
        key = f"hyper_parameters.conformer.{name}"
        if not isinstance(value, int | float):
            refuse(key, "a number", value)
        # layers are made one by one, hence for as long as it takes, if nothing says how many
        if name == "num_layers" and not 1 <= value <= num_tensors:
            refuse(key, f"positive, and at most the number of tensors ({num_tensors})", value)
    return asdict(checked) | {"wavlm": WavLMConfig.from_dict(checked.wavlm)}


def _describe(hparams: Mapping[str, Any], specifications: Specifications) -> WavLMSegmentation:
    """Model without its last layer"""
    model = WavLMSegmentation(**hparams)
    model.specifications = specifications
    return model
