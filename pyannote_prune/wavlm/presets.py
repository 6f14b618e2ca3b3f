"""Published WavLM structures, and a tiny one

Dense ones are from Chen et al. (see `WavLMConfig`). Pruned ones are from the models released with
Han et al., "Fine-tune Before Structured Pruning: Towards Compact and Accurate
Self-Supervised Models for Speaker Diarization", Interspeech 2025, as
`BUT-FIT/diarizen-wavlm-base-s80-md` and `BUT-FIT/diarizen-wavlm-large-s80-md`. The tiny one is for
trying recipes: there are no pretrained weights for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# (kernel, stride) of each convolution: pruning never changes them
GEOMETRY = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))

LARGE: dict[str, Any] = {
    "embed_dim": 1024,
    "num_heads": 16,
    "conv_norm": "layer",
    "norm_first": True,
    "normalize_waveform": True,
    "layer_drop": 0.1,
}
BASE: dict[str, Any] = {"embed_dim": 768, "num_heads": 12}


def dense(num_layers: int, neurons: int, channels: int = 512, **options: Any) -> dict[str, Any]:
    """Describe a dense encoder in plain values"""
    heads = list(range(options["num_heads"]))
    return {
        "convolutions": convolutions([channels] * len(GEOMETRY)),
        "layers": [{"heads": heads, "neurons": neurons} for _ in range(num_layers)],
        **options,
    }


def pruned(
    channels: Sequence[int], layers: Sequence[tuple[tuple[int, ...], int]], **options: Any
) -> dict[str, Any]:
    """Describe a pruned encoder: channels, then heads and number of neurons of each layer"""
    return {
        "convolutions": convolutions(channels),
        "layers": [{"heads": list(heads), "neurons": neurons} for heads, neurons in layers],
        **options,
    }


def convolutions(channels: Sequence[int]) -> list[dict[str, int]]:
    """Describe the convolutions of WavLM with these numbers of channels"""
    return [
        {"channels": count, "kernel": kernel, "stride": stride}
        for count, (kernel, stride) in zip(channels, GEOMETRY, strict=True)
    ]


BASE_S80_MD = pruned(
    channels=(90, 161, 173, 181, 351, 155, 137),
    layers=(
        ((1, 6), 666),
        ((5, 7, 8), 660),
        ((0, 3, 9), 649),
        ((0, 1, 4, 8, 11), 1080),
        ((6, 8), 237),
        ((0,), 299),
        ((7, 8, 10, 11), 437),
        ((0, 1, 4, 8), 573),
        ((), 53),
        ((), 80),
        ((4, 7), 211),
        ((5,), 334),
    ),
    **BASE,
)

LARGE_S80_MD = pruned(
    channels=(512, 153, 224, 255, 302, 368, 211),
    layers=(
        ((1, 2, 4, 5, 6), 1092),
        ((9, 10, 14), 925),
        ((0, 1, 2, 4, 5, 7), 759),
        ((1, 4, 7, 12, 13, 14), 646),
        ((0, 2, 3, 4, 13), 745),
        ((1, 7, 13, 14, 15), 615),
        ((11, 13, 15), 684),
        ((2, 3, 4, 8, 15), 958),
        ((2, 5, 6, 15), 286),
        ((), 294),
        ((0, 1), 406),
        ((1, 3, 5, 12), 377),
        ((), 463),
        ((4, 7, 11), 542),
        ((6, 9), 298),
        ((11,), 236),
        ((), 96),
        ((), 104),
        ((14,), 134),
        ((5, 15), 211),
        ((0, 2, 8, 11, 13, 15), 473),
        ((0, 1, 3, 4, 5, 6, 7, 10, 13), 1011),
        ((0, 1, 3, 6, 7, 9, 10, 11, 12, 14), 1770),
        ((1, 2, 3, 4, 7, 13, 14, 15), 1316),
    ),
    **LARGE,
)

# half a million parameters, in the style of Base: trained in a minute on a laptop
TINY = dense(4, 384, 32, embed_dim=96, num_heads=4, position_kernel=32, layer_drop=0.0)

# arguments of `WavLMConfig.from_dict`
PRESETS = {
    "base": dense(12, 3072, **BASE),
    "large": dense(24, 4096, **LARGE),
    "base-s80-md": BASE_S80_MD,
    "large-s80-md": LARGE_S80_MD,
    "tiny": TINY,
}
