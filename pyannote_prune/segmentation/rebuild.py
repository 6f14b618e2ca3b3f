"""Rebuild models from untrusted checkpoints"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Specifications

from ..files.audio import SAMPLE_RATE
from ..files.schema import refuse, rule, section
from ..wavlm.config import WavLMConfig
from ..wavlm.weights import check_keys, is_state_dict
from .conformer import LAYERS
from .contents import Contents, without_task_modules
from .head import Head
from .provenance import Provenance
from .specifications import specifications_from_dict, specifications_to_dict
from .units import MODEL_UNITS

Segmentation = TypeVar("Segmentation", bound=Model)


@dataclass(frozen=True)
class HyperParameters:
    """Arguments of `WavLMSegmentation`, as it saves them

    Files have the structure of their encoder, never the name of an encoder to find elsewhere.
    """

    wavlm: dict[str, Any]
    conformer: dict[str, Any] | None = None
    units: tuple[str, ...] = rule((), choices=tuple(MODEL_UNITS))
    wavlm_learning_rate: float = rule(2e-5, minimum=0)
    learning_rate: float = rule(1e-3, minimum=0)
    sample_rate: int = SAMPLE_RATE
    num_channels: int = 1
    head: dict[str, Any] | None = None


def rebuild(cls: type[Segmentation], contents: Contents, source: str) -> Segmentation:
    """Build a model from untrusted contents of a file, all of which are checked

    Parameters
    ----------
    cls : type
        `WavLMSegmentation`, which this module cannot import: that class reads safetensors files
        with this function.
    contents : Contents
        Weights are copied.
    source : str
        Name of the file, for messages.

    Returns
    -------
    model : WavLMSegmentation
        In evaluation mode.

    Raises
    ------
    ValueError
        If hyper-parameters or specifications are impossible, or if weights do not fit the model.
    """
    if not is_state_dict(contents.weights):
        raise ValueError(f"`state_dict` of {source} must be made of names and tensors.")
    weights = without_task_modules(contents.weights)
    try:
        hparams = _checked(contents.hparams, num_tensors=len(weights))
        # a copy, whose values are all checked
        specifications = specifications_from_dict(specifications_to_dict(contents.specifications))
        provenance = Provenance.from_dict(contents.provenance)
        # no memory until it is known that the file has these weights
        with torch.device("meta"):
            outline = _without_classifier(cls, hparams, specifications)
            outline.build()  # `setup` would move layers to a processor, with older Lightning
    # torch and torchaudio do not agree on what to raise for dimensions that are impossible
    except Exception as error:
        raise ValueError(f"{source} does not describe a {cls.__name__}: {error}") from error
    check_keys(outline.state_dict(), weights, source)
    model = _without_classifier(cls, hparams, specifications)
    model.setup()
    model.load_state_dict(weights)
    model.provenance = provenance  # type: ignore[assignment]
    return model.eval()


def _checked(hparams: Any, num_tensors: int) -> dict[str, Any]:
    """Arguments of the model, from hyper-parameters of a file that has so many tensors"""
    plain = dict(hparams) if isinstance(hparams, Mapping) else hparams
    if isinstance(plain, dict) and not plain.get("units", True):
        del plain["units"]  # no gate
    checked = section(HyperParameters, plain, "hyper_parameters")
    if checked.head is None:
        if checked.conformer is None:
            refuse("hyper_parameters.conformer", "a dictionary", None)
        _check_conformer("hyper_parameters.conformer", checked.conformer, num_tensors)
        head = Head(conformer=checked.conformer)
    else:
        if checked.conformer is not None:
            refuse("hyper_parameters.conformer", "absent when there is a `head`", checked.conformer)
        if isinstance(conformer := checked.head.get("conformer"), Mapping):
            _check_conformer("hyper_parameters.head.conformer", conformer, num_tensors)
        head = Head.from_dict(checked.head)
    _check_number("hyper_parameters.head", head.num_layers, num_tensors)
    wavlm = WavLMConfig.from_dict(checked.wavlm)
    return asdict(checked) | {"wavlm": wavlm, "conformer": None, "head": head}


def _check_conformer(key: str, conformer: Mapping[str, Any], num_tensors: int) -> None:
    for name, value in conformer.items():
        # `Head` checks the sizes of layers
        if name != LAYERS and not isinstance(value, int | float):
            refuse(f"{key}.{name}", "a number", value)
    _check_number(f"{key}.num_layers", conformer.get("num_layers", 1), num_tensors)


def _check_number(key: str, num_layers: float, num_tensors: int) -> None:
    """Check a number of layers, which are made one by one: huge ones would take hours"""
    if not 1 <= num_layers <= num_tensors:
        expected = f"positive, and at most the number of tensors ({num_tensors})"
        refuse(key, expected, num_layers)


def _without_classifier(
    cls: type[Segmentation], hparams: Mapping[str, Any], specifications: Specifications
) -> Segmentation:
    model = cls(**hparams)
    model.specifications = specifications
    return model
