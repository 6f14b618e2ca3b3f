"""Released models"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyannote.audio.core.task import Specifications

from ..checkpoint import read_safely
from ..segmentation import WavLMSegmentation
from ..specifications import powerset_specifications
from ..suggest import did_you_mean
from ..wavlm.config import WavLMConfig
from ..wavlm.weights import convert, is_state_dict, load_exactly
from .repository import CONFIG, WEIGHTS, find_repository, read_config
from .structure import find_structure, read_wavlm_file
from .weights import convert_state_dict

# arguments of DiariZen's model with their default values
MODEL_DEFAULTS = {
    "wavlm_src": "wavlm_base",
    "wavlm_layer_num": 13,
    "wavlm_feat_dim": 768,
    "attention_in": 256,
    "ffn_hidden": 1024,
    "num_head": 4,
    "num_layer": 4,
    "kernel_size": 31,
    "dropout": 0.1,
    "use_posi": False,
    "output_activate_function": False,
    "max_speakers_per_chunk": 4,
    "max_speakers_per_frame": 2,
    "chunk_size": 5,
    "num_channels": 8,
    "selected_channel": 0,
    "sample_rate": 16000,
}
# options that no released model uses
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
        In evaluation mode. Its specifications, window length included, are those of
        `config.toml`.

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
    config = read_config(folder)
    arguments = _model_arguments(config["model"].get("args", {}), folder)
    wavlm = find_structure(arguments["wavlm_src"], folder)
    _check_dimensions(arguments, wavlm, folder)

    model = WavLMSegmentation(
        wavlm=wavlm,
        conformer={ours: arguments[theirs] for ours, theirs in CONFORMER.items()},
        sample_rate=arguments["sample_rate"],
    )
    model.specifications = _specifications(arguments, config)
    model.setup()
    _load_weights(model, folder / WEIGHTS)
    return model.eval()


def _load_wavlm_file(path: Path) -> WavLMSegmentation:
    structure, state_dict = read_wavlm_file(path)
    model = WavLMSegmentation(wavlm=structure)
    load_exactly(model.wavlm, convert(state_dict), repr(str(path)))
    return model.eval()


def _load_weights(model: WavLMSegmentation, path: Path):
    state_dict = read_safely(path)
    if not is_state_dict(state_dict):
        raise ValueError(
            f"{str(path)!r} must hold a state dict (names and tensors), as models released by "
            "DiariZen do, found something else."
        )
    load_exactly(model, convert_state_dict(state_dict), repr(str(path)))


def _model_arguments(arguments: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    for name, value in arguments.items():
        if name not in MODEL_DEFAULTS:
            raise ValueError(
                f"Unknown argument {name!r} in [model.args] of {str(folder / CONFIG)!r}"
                f"{did_you_mean(name, MODEL_DEFAULTS)}."
            )
        if name in UNSUPPORTED and value:
            raise ValueError(
                f"`{name}` must be false in {str(folder / CONFIG)!r}, found {value!r}: "
                "this option, which no released model uses, is not supported."
            )
    arguments = MODEL_DEFAULTS | dict(arguments)
    if arguments["selected_channel"] != 0:
        warnings.warn(
            f"This model was trained on channel {arguments['selected_channel']} of its recordings "
            "(`selected_channel`), while pyannote.audio averages all channels: add "
            f"'channel': {arguments['selected_channel']} to the files that you give it.",
            stacklevel=3,
        )
    return arguments


def _check_dimensions(arguments: Mapping[str, Any], wavlm: WavLMConfig, folder: Path):
    found = {"wavlm_layer_num": wavlm.num_layers + 1, "wavlm_feat_dim": wavlm.embed_dim}
    for name, value in found.items():
        if arguments[name] != value:
            raise ValueError(
                f"`{name}` must be {value} in {str(folder / CONFIG)!r}, as in the WavLM that "
                f"`wavlm_src` names ({arguments['wavlm_src']!r}), found {arguments[name]}."
            )


def _specifications(arguments: Mapping[str, Any], config: Mapping[str, Any]) -> Specifications:
    # released models are used on windows that may be longer than those they were trained on
    inference = config.get("inference", {}).get("args", {})
    return powerset_specifications(
        duration=inference.get("seg_duration", arguments["chunk_size"]),
        max_speakers_per_chunk=arguments["max_speakers_per_chunk"],
        max_speakers_per_frame=arguments["max_speakers_per_frame"],
    )
