"""Load released models"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...files.audio import SAMPLE_RATE
from ...files.messages import shorten
from ...files.pickles import read_safely
from ...files.schema import refuse, section
from ...segmentation.contents import Contents
from ...segmentation.model import WavLMSegmentation
from ...segmentation.rebuild import rebuild
from ...segmentation.specifications import powerset_specifications
from ...wavlm.config import WavLMConfig
from ...wavlm.encoder import WavLM
from ...wavlm.foreign_names import rename_keys
from ...wavlm.weights import check_keys, is_state_dict
from .arguments import ModelArguments, Window, known
from .repository import CONFIG, WEIGHTS, find_repository, read_config
from .structure import find_structure, read_wavlm_file
from .weights import convert_state_dict

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
        return _load_wavlm_file(Path(source))

    folder = find_repository(source, revision, token, cache_dir)
    name = f"{str(folder / WEIGHTS)!r} (described by {CONFIG!r})"
    return rebuild(WavLMSegmentation, _read_repository(folder), name)


def _read_repository(folder: Path) -> Contents:
    config, path = read_config(folder), folder / CONFIG
    try:
        arguments = section(ModelArguments, config["model"].get("args", {}), "model.args")
        _check_supported(arguments)
        wavlm = find_structure(arguments.wavlm_src, folder)
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
    weights = convert_state_dict(_read_weights(folder / WEIGHTS))
    return Contents(hparams, specifications, weights)


def _load_wavlm_file(path: Path) -> WavLMSegmentation:
    structure, state_dict = read_wavlm_file(path)
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
    return model.eval()


def _read_weights(path: Path) -> Mapping[str, Tensor]:
    state_dict = read_safely(path)
    if not is_state_dict(state_dict):
        raise ValueError(
            f"{str(path)!r} must hold a state dict (names and tensors), as models released by "
            "DiariZen do, found something else."
        )
    return state_dict


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
