"""Load released models"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...files.audio import SAMPLE_RATE
from ...files.messages import shorten
from ...files.pickles import read_safely
from ...files.schema import refuse, section
from ...segmentation.contents import Contents
from ...segmentation.licences import NON_COMMERCIAL
from ...segmentation.model import WavLMSegmentation
from ...segmentation.provenance import Provenance, dense_parameters
from ...segmentation.rebuild import rebuild
from ...segmentation.specifications import powerset_specifications
from ...wavlm.config import WavLMConfig
from ...wavlm.encoder import WavLM
from ...wavlm.foreign_names import rename_keys
from ...wavlm.weights import check_keys, is_state_dict
from .arguments import ModelArguments, Window, known
from .repository import CONFIG, WEIGHTS, find_config, find_repository, read_config
from .structure import find_structure, wavlm_of_file
from .weights import WAVLM_PREFIX, convert_state_dict

# options that no released model uses, and that must be false
UNSUPPORTED = ("use_posi", "output_activate_function")

# arguments of torchaudio's Conformer, and DiariZen's names for them
CONFORMER = {
    "input_dim": "attention_in",
    "ffn_dim": "ffn_hidden",
    "num_heads": "num_head",
    "num_layers": "num_layer",
    "depthwise_conv_kernel_size": "kernel_size",
    "dropout": "dropout",
}


def load_diarizen(
    source: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> WavLMSegmentation:
    """Load a model released by DiariZen

    Parameters
    ----------
    source : str or Path
        One of the following:
        * hub id, such as "BUT-FIT/diarizen-wavlm-base-s80-md",
        * local folder with the same `config.toml` and `pytorch_model.bin`,
        * file of weights written by DiariZen's training, averaged or not, in the folder of its
          experiment, whose `config.toml` describes it,
        * WavLM file written by DiariZen's training: the encoder alone, under an untrained head
          without specifications, i.e. a model to train.
    revision, token, cache_dir : optional
        See `huggingface_hub.snapshot_download`.

    Returns
    -------
    model : WavLMSegmentation
        In evaluation mode. Its specifications, window length included, come from `config.toml`.

    Raises
    ------
    OSError
        If `source` cannot be found.
    ValueError
        If it is not in that format, or needs an option that is not supported: the message
        names it.
    """
    if Path(source).is_file():
        return load_file(Path(source), read_safely(source))
    folder = find_repository(source, revision, token, cache_dir)
    config = read_config(folder / CONFIG)  # before weights, which take longer
    model = _load_whole_model(config, folder / CONFIG, folder / WEIGHTS)
    return _with_provenance(model, source)


def load_file(path: Path, content: Any) -> WavLMSegmentation:
    """Load a file written by DiariZen's training: see `load_diarizen`

    Parameters
    ----------
    path : Path
    content : dict
        As read from the file, hence of any type.
    """
    if not is_whole_model(content):
        return _load_wavlm_file(path, content)
    config = find_config(path)
    model = _load_whole_model(read_config(config), config, path, content)
    return _with_provenance(model, path)


def _with_provenance(model: WavLMSegmentation, source: str | Path) -> WavLMSegmentation:
    """Note where a model comes from. Its licence is that of all models that DiariZen released"""
    model.provenance = Provenance.of(
        source,
        owner="DiariZen",
        licence=NON_COMMERCIAL,
        dense_parameters=dense_parameters(model.wavlm.config),
    )
    return model


def _load_whole_model(
    config: Mapping[str, Any], path: Path, weights: Path, content: Any = None
) -> WavLMSegmentation:
    """Load a model from its description, and from the content of the file of its weights"""
    name = f"{str(weights)!r} (described by {path.name!r})"
    content = read_safely(weights) if content is None else content
    return rebuild(WavLMSegmentation, _contents(config, path, weights, content), name)


def is_whole_model(content: Any) -> bool:
    """Whether the content of a file is the state dict of a whole model of DiariZen"""
    return is_state_dict(content) and any(key.startswith(WAVLM_PREFIX) for key in content)


def _contents(config: Mapping[str, Any], path: Path, weights: Path, content: Any) -> Contents:
    if not is_state_dict(content):
        raise ValueError(
            f"{str(weights)!r} must hold a state dict (names and tensors), as models released by "
            "DiariZen do, found something else."
        )
    state_dict = convert_state_dict(content)
    try:
        arguments = section(ModelArguments, config["model"].get("args", {}), "model.args")
        _check_supported(arguments)
        wavlm = _structure(arguments.wavlm_src, path.parent, state_dict)
        _check_dimensions(arguments, wavlm)
        # released models are used on windows that may be longer than those they were trained on
        duration = known(Window, config, "inference").seg_duration or arguments.chunk_size
        specifications = powerset_specifications(
            duration, arguments.max_speakers_per_chunk, arguments.max_speakers_per_frame
        )
    except ValueError as error:
        raise ValueError(
            f"{str(path)!r} does not describe a model that is supported: {error}"
        ) from error

    hparams = {
        "wavlm": wavlm.to_dict(),
        "conformer": {ours: getattr(arguments, theirs) for ours, theirs in CONFORMER.items()},
        "sample_rate": arguments.sample_rate,
    }
    return Contents(hparams, specifications, state_dict)


def _structure(wavlm_src: str, folder: Path, weights: Mapping[str, Tensor]) -> WavLMConfig:
    """Structure that `wavlm_src` names, or dense one that has these weights

    Training names files of its own machine: only their weights are left.
    """
    try:
        return find_structure(wavlm_src, folder)
    except ValueError:
        prefix = "wavlm."
        encoder = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        for name in ("base", "large"):
            structure = WavLMConfig.preset(name)
            with torch.device("meta"):
                outline = WavLM(structure).state_dict()
            if _shapes(outline) == _shapes(encoder):
                return structure
        raise


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in weights.items()}


def _load_wavlm_file(path: Path, content: Any) -> WavLMSegmentation:
    structure, state_dict = wavlm_of_file(content, path)
    weights = rename_keys(state_dict)
    try:
        # no memory until it is known that the file has these weights
        with torch.device("meta"):
            outline = WavLM(structure).state_dict()
    except (RuntimeError, OverflowError, TypeError) as error:
        raise ValueError(f"{str(path)!r} does not describe a WavLM encoder: {error}") from error
    check_keys(outline, weights, repr(str(path)))
    model = WavLMSegmentation(wavlm=structure)
    model.wavlm.load_state_dict(weights)
    model.provenance = Provenance.of(path)
    if (path.parent / CONFIG).is_file():  # part of a released model
        _with_provenance(model, path)
    return model.eval()


def _check_supported(arguments: ModelArguments) -> None:
    for name in UNSUPPORTED:
        if value := getattr(arguments, name):
            raise ValueError(
                f"`{name}` must be false, found {shorten(value)}: this option, which no released "
                "model uses, is not supported."
            )
    if arguments.sample_rate != SAMPLE_RATE:
        expected = f"{SAMPLE_RATE} (Hz), as for WavLM"
        refuse("model.args.sample_rate", expected, arguments.sample_rate)
    if arguments.selected_channel != 0:
        warnings.warn(
            f"This model was trained on channel {arguments.selected_channel} of its recordings "
            "(`selected_channel`), while pyannote.audio averages all channels: add "
            f"'channel': {arguments.selected_channel} to the files that you give it.",
            stacklevel=4,
        )


def _check_dimensions(arguments: ModelArguments, wavlm: WavLMConfig) -> None:
    found = {"wavlm_layer_num": wavlm.num_layers + 1, "wavlm_feat_dim": wavlm.embed_dim}
    for name, value in found.items():
        if getattr(arguments, name) != value:
            raise ValueError(
                f"`{name}` must be {value}, as in the WavLM that `wavlm_src` names "
                f"({arguments.wavlm_src!r}), found {getattr(arguments, name)}."
            )
