"""Encoders of torchaudio, to and from ours

torchaudio gives states 1 to L, the first one after the first layer, where our encoder gives states
0 to L. Its bundle for Large brings the whole batch to zero mean and unit variance, ours brings each
waveform: both are equal for batches of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torchaudio
from torch import Tensor

from ..files.messages import shorten
from ..files.schema import refuse, rule, section
from .config import ConvolutionConfig, LayerConfig, WavLMConfig
from .encoder import WavLM
from .foreign_names import rename_key, rename_keys

# our values of `extractor_mode`
CONV_NORMS: dict[str, Literal["group", "layer"]] = {"group_norm": "group", "layer_norm": "layer"}

# arguments that have the meaning of a field of WavLMConfig
SAME = {
    "encoder_embed_dim": "embed_dim",
    "extractor_conv_bias": "conv_bias",
    "encoder_layer_norm_first": "norm_first",
    "encoder_pos_conv_kernel": "position_kernel",
    "encoder_pos_conv_groups": "position_groups",
    "encoder_num_buckets": "num_buckets",
    "encoder_max_distance": "max_distance",
    "encoder_projection_dropout": "projection_dropout",
    "encoder_dropout": "dropout",
    "encoder_attention_dropout": "attention_dropout",
    "encoder_ff_interm_dropout": "activation_dropout",
    "encoder_layer_drop": "layer_drop",
}

# convolutions of a model that is described without any: channels, kernel, stride
CONVOLUTIONS = ((512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2)

# names of the weight norm of the position embedding, before and after torch's parametrizations
WEIGHT_NORM = {
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}


@dataclass(frozen=True)
class TorchaudioArguments:
    """Arguments of `torchaudio.models.wavlm_model`, apart from those of `SAME`"""

    extractor_mode: str = rule(choices=tuple(CONV_NORMS))
    encoder_num_layers: int = rule(minimum=1, maximum=1000)
    encoder_num_heads: int = rule(minimum=1, maximum=10000)
    encoder_ff_interm_features: int = rule(minimum=1)
    extractor_conv_layer_config: list[Any] | tuple[Any, ...] | None = None
    aux_num_out: int | None = None


def config_from_torchaudio(
    arguments: Mapping[str, Any], normalize_waveform: bool = False
) -> WavLMConfig:
    """Convert the arguments of `torchaudio.models.wavlm_model`

    Parameters
    ----------
    arguments : dict
        `torchaudio.pipelines.WAVLM_BASE_PLUS._params`, for instance.
    normalize_waveform : bool, optional
        Whether each waveform is normalized, as the bundle of Large does. Defaults to False.

    Raises
    ------
    ValueError
        If an argument is missing, unknown or impossible: the message names it.
    """
    if not isinstance(arguments, Mapping):
        refuse("wav2vec", "a dictionary of arguments", arguments)
    if missing := [name for name in SAME if name not in arguments]:
        raise ValueError(f"Missing arguments of WavLM: {', '.join(missing)}.")
    rest = {name: value for name, value in arguments.items() if name not in SAME}
    convolutions = rest.pop("extractor_conv_layer_config", None)
    checked = section(TorchaudioArguments, rest, "wav2vec")
    heads = tuple(range(checked.encoder_num_heads))
    layer = LayerConfig(heads, checked.encoder_ff_interm_features)
    return WavLMConfig(
        convolutions=_convolutions(CONVOLUTIONS if convolutions is None else convolutions),
        layers=(layer,) * checked.encoder_num_layers,
        num_heads=checked.encoder_num_heads,
        conv_norm=CONV_NORMS[checked.extractor_mode],
        normalize_waveform=normalize_waveform,
        **{ours: arguments[theirs] for theirs, ours in SAME.items()},
    )


def _convolutions(shapes: Any) -> tuple[ConvolutionConfig, ...]:
    key = "wav2vec.extractor_conv_layer_config"
    if not isinstance(shapes, list | tuple):
        refuse(key, "a list", shapes)
    for shape in shapes:
        if not isinstance(shape, list | tuple) or len(shape) != 3:
            refuse(key, "a list of channels, kernel and stride of each convolution", shape)
    return tuple(ConvolutionConfig(*shape) for shape in shapes)


def arguments_for_torchaudio(config: WavLMConfig) -> dict[str, Any]:
    """Convert a dense structure into arguments of `torchaudio.models.wavlm_model`

    Raises
    ------
    ValueError
        If the encoder was pruned: torchaudio has no such layers.
    """
    dense = LayerConfig(tuple(range(config.num_heads)), config.layers[0].neurons)
    if any(layer != dense for layer in config.layers) or not dense.neurons:
        raise ValueError(
            "`config` must be dense for torchaudio, found layers with different heads or neurons: "
            "torchaudio has no pruned encoders."
        )
    modes = {ours: theirs for theirs, ours in CONV_NORMS.items()}
    return {
        "extractor_mode": modes[config.conv_norm],
        "extractor_conv_layer_config": [
            (c.channels, c.kernel, c.stride) for c in config.convolutions
        ],
        "encoder_num_layers": config.num_layers,
        "encoder_num_heads": config.num_heads,
        "encoder_ff_interm_features": dense.neurons,
        "aux_num_out": None,
        **{theirs: getattr(config, ours) for theirs, ours in SAME.items()},
    }


def weights_from_torchaudio(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and reshape the weights of a WavLM of torchaudio as in ours

    Parameters
    ----------
    state_dict : dict of torch.Tensor
        With the names of `torchaudio.models.Wav2Vec2Model`, or of the bundle of Large, which holds
        one as `model`. The linear layer of speech recognition (`aux`) is left out.

    Returns
    -------
    converted : dict of torch.Tensor
        Unknown names are left as they are, for `check_keys` to list.
    """
    converted: dict[str, Tensor] = {}
    for key, tensor in state_dict.items():
        key = key.removeprefix("model.").replace(".attention.attention.", ".attention.")
        for old, new in WEIGHT_NORM.items():
            key = key.replace(old, new)
        if key.startswith("aux."):
            continue
        stem, found, leaf = key.partition(".in_proj_")
        if found and tensor.ndim and tensor.shape[0] % 3 == 0:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                converted[f"{stem}.{letter}_proj.{leaf}"] = part
        else:
            converted[key] = tensor
    renamed = rename_keys(converted)
    # factors of channels, for pruned encoders only
    last = _last_convolution(renamed)
    if last is not None:
        renamed["extractor.scale"] = torch.ones(last.shape[0], dtype=last.dtype)
    return renamed


def _last_convolution(weights: Mapping[str, Tensor]) -> Tensor | None:
    """Weight of the last convolution of the feature extractor"""
    found, index = None, 0
    while (key := f"extractor.convolutions.{index}.conv.weight") in weights:
        found, index = weights[key], index + 1
    return found if found is not None and found.ndim else None


def weights_for_torchaudio(wavlm: WavLM) -> dict[str, Tensor]:
    """Rename and reshape the weights of a dense encoder as in `torchaudio.models.Wav2Vec2Model`

    Raises
    ------
    ValueError
        If the encoder has gates, or was pruned.
    """
    ours = wavlm.state_dict()
    if wavlm.units or not bool((ours["extractor.scale"] == 1).all()):
        raise ValueError(
            "`wavlm` must be dense and without gates for torchaudio, found "
            f"{shorten(list(wavlm.units)) if wavlm.units else 'pruned channels'}: give an encoder "
            "that was not pruned."
        )
    with torch.device("meta"):
        outline = torchaudio.models.wavlm_model(**arguments_for_torchaudio(wavlm.config))
    converted: dict[str, Tensor] = {}
    for theirs in outline.state_dict():
        stem, found, leaf = theirs.partition(".attention.attention.in_proj_")
        if found:
            parts = [rename_key(f"{stem}.attention.{letter}_proj.{leaf}") for letter in "qkv"]
            converted[theirs] = torch.cat([ours[part] for part in parts])
            continue
        tensor = ours[rename_key(theirs.replace(".attention.attention.", ".attention."))]
        is_constant = theirs.endswith("gru_rel_pos_const")
        converted[theirs] = tensor[None, :, None, None] if is_constant else tensor
    return converted
