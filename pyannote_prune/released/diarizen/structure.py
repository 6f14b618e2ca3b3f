"""WavLM structures described by DiariZen"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ...files.inside import find_inside
from ...files.messages import did_you_mean, shorten
from ...files.pickles import read_safely
from ...wavlm.config import ConvolutionConfig, LayerConfig, WavLMConfig, check_list
from ...wavlm.torchaudio_layout import CONV_NORMS
from ...wavlm.torchaudio_layout import SAME as TORCHAUDIO
from ...wavlm.weights import is_state_dict

# names that DiariZen gives to predefined structures
STRUCTURES = {
    "wavlm_base": "base",
    "wavlm_large": "large",
    "wavlm_base_s80_md": "base-s80-md",
    "wavlm_large_s80_md": "large-s80-md",
}

# keys that have the meaning of a field of WavLMConfig
SAME = {**TORCHAUDIO, "normalize_waveform": "normalize_waveform"}
PER_LAYER = (
    "encoder_total_num_heads",
    "encoder_use_attention",
    "encoder_remaining_heads",
    "encoder_use_feed_forward",
    "encoder_ff_interm_features",
)
REQUIRED = (
    *SAME,
    *PER_LAYER,
    "encoder_num_layers",
    "extractor_mode",
    "extractor_conv_layer_config",
)
# gates, and a projection that no diarization model has
MUST_BE_FALSE = (
    "extractor_prune_conv_channels",
    "encoder_prune_attention_heads",
    "encoder_prune_attention_layer",
    "encoder_prune_feed_forward_intermediate",
    "encoder_prune_feed_forward_layer",
    "use_layerwise_prune",
    "aux_num_out",
)


def find_structure(wavlm_src: str, folder: Path) -> WavLMConfig:
    """Find the structure named by `wavlm_src`: a predefined one, or in a file of the repository

    Raises
    ------
    ValueError
        If it is neither, or if the file is outside of `folder`.
    """
    if isinstance(wavlm_src, str) and wavlm_src in STRUCTURES:
        return WavLMConfig.preset(STRUCTURES[wavlm_src])
    path = find_inside(folder, wavlm_src)
    if path is None:
        raise ValueError(
            f"`wavlm_src` must be one of {', '.join(map(repr, STRUCTURES))}, or a WavLM file "
            f"inside {str(folder)!r}, found "
            f"{shorten(wavlm_src)}{did_you_mean(wavlm_src, STRUCTURES)}: "
            "copy that file next to `config.toml`, and give its name."
        )
    structure, _ = wavlm_of_file(read_safely(path), path)
    return structure


def wavlm_of_file(content: Any, path: Path) -> tuple[WavLMConfig, dict[str, Tensor]]:
    """Extract structure and state dict (with DiariZen's names) from the content of a WavLM file

    Parameters
    ----------
    content : dict
        As read from the file, hence of any type.
    path : Path
        For messages.

    Raises
    ------
    ValueError
        If the file has other contents.
    """
    if (
        not isinstance(content, Mapping)
        or not {"config", "state_dict"} <= content.keys()
        or not is_state_dict(content["state_dict"])
    ):
        raise ValueError(
            f"{str(path)!r} must hold 'config' and 'state_dict', as WavLM files of DiariZen do: to "
            "load a released model, give the folder with its `config.toml`."
        )
    try:
        structure = convert_config(content["config"])
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} does not describe a WavLM encoder: {error}") from error
    return structure, content["state_dict"]


def convert_config(config: Mapping[str, Any]) -> WavLMConfig:
    """Convert DiariZen's description of a WavLM encoder

    Raises
    ------
    ValueError
        If a key is missing or has an impossible value, if the encoder has gates, or if it has no
        attention in its first layer.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"`config` must be a dictionary, found {shorten(config)}.")
    if missing := [key for key in REQUIRED if key not in config]:
        raise ValueError(f"missing keys: {', '.join(missing)}.")
    for key in MUST_BE_FALSE:
        if config.get(key):
            raise ValueError(
                f"`{key}` must be false, found {shorten(config[key])}: only encoders without "
                "gates can be loaded (DiariZen's `apply_pruning.py` removes them)."
            )
    return WavLMConfig(
        convolutions=_convolutions(config),
        layers=_layers(config),
        num_heads=_num_heads(config),
        conv_norm=_conv_norm(config),
        **{ours: config[theirs] for theirs, ours in SAME.items()},
    )


def _conv_norm(config: Mapping[str, Any]) -> Literal["group", "layer"]:
    mode = config["extractor_mode"]
    if mode not in list(CONV_NORMS):
        expected = " or ".join(map(repr, CONV_NORMS))
        raise ValueError(f"`extractor_mode` must be {expected}, found {shorten(mode)}.")
    return CONV_NORMS[mode]


def _convolutions(config: Mapping[str, Any]) -> tuple[ConvolutionConfig, ...]:
    key = "extractor_conv_layer_config"
    for shape in check_list(key, config[key]):
        if len(check_list(f"{key}[...]", shape)) != 3:
            raise ValueError(
                f"`{key}` must have channels, kernel and stride of each convolution, found "
                f"{shorten(shape)}."
            )
    return tuple(ConvolutionConfig(*shape) for shape in config[key])


def _layers(config: Mapping[str, Any]) -> tuple[LayerConfig, ...]:
    for key in PER_LAYER:
        values, number = config[key], config["encoder_num_layers"]
        if not isinstance(values, list | tuple) or not values or len(values) != number:
            raise ValueError(
                f"`{key}` must have one value per layer ({shorten(number)}), found "
                f"{shorten(values)}."
            )
    if not config["encoder_use_attention"][0]:
        raise ValueError(
            "`encoder_use_attention` must start with true, found false: without attention in its "
            "first layer, DiariZen has no position bias in any layer, which is not supported."
        )
    for heads in config["encoder_remaining_heads"]:
        check_list("encoder_remaining_heads[...]", heads)
    _, *blocks = (config[key] for key in PER_LAYER)
    return tuple(
        LayerConfig(heads=tuple(heads) if attention else (), neurons=neurons if forward else 0)
        for attention, heads, forward, neurons in zip(*blocks, strict=True)
    )


def _num_heads(config: Mapping[str, Any]) -> int:
    totals = config["encoder_total_num_heads"]
    if any(total != totals[0] for total in totals):
        raise ValueError(
            f"`encoder_total_num_heads` must be the same for all layers, found {shorten(totals)}: "
            "they share one position bias."
        )
    return totals[0]
