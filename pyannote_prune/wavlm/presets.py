"""Published WavLM structures, and a tiny one

Dense ones are those of Chen et al. (see `WavLMConfig`). The pruned ones are those of the models
released with Han et al., "Fine-tune Before Structured Pruning: Towards Compact and Accurate
Self-Supervised Models for Speaker Diarization", Interspeech 2025, as
`BUT-FIT/diarizen-wavlm-base-s80-md` and `BUT-FIT/diarizen-wavlm-large-s80-md`. The tiny one is for
trying recipes: nobody published weights for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .config import ConvolutionConfig, LayerConfig, WavLMConfig

# (kernel, stride) of each convolution: pruning never changes them
GEOMETRY = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))

LARGE = {
    "embed_dim": 1024,
    "num_heads": 16,
    "conv_norm": "layer",
    "norm_first": True,
    "normalize_waveform": True,
    "layer_drop": 0.1,
}
BASE = {"embed_dim": 768, "num_heads": 12}


def convolutions(channels: Sequence[int]) -> tuple[ConvolutionConfig, ...]:
    """WavLM convolutions with these numbers of channels"""
    return tuple(ConvolutionConfig(c, *shape) for c, shape in zip(channels, GEOMETRY, strict=True))


def dense(num_layers: int, neurons: int, channels: int = 512, **options) -> WavLMConfig:
    """Encoder with everything in place"""
    heads = tuple(range(options["num_heads"]))
    return WavLMConfig(
        convolutions=convolutions([channels] * len(GEOMETRY)),
        layers=tuple(LayerConfig(heads, neurons) for _ in range(num_layers)),
        **options,
    )


def tiny() -> WavLMConfig:
    """Half a million parameters, in the style of Base: trained in a minute on a laptop"""
    options = {"embed_dim": 96, "num_heads": 4, "position_kernel": 32, "layer_drop": 0.0}
    return dense(num_layers=4, neurons=384, channels=32, **options)


def base() -> WavLMConfig:
    return dense(num_layers=12, neurons=3072, **BASE)


def large() -> WavLMConfig:
    return dense(num_layers=24, neurons=4096, **LARGE)


def base_s80_md() -> WavLMConfig:
    layers = (
        LayerConfig((1, 6), 666),
        LayerConfig((5, 7, 8), 660),
        LayerConfig((0, 3, 9), 649),
        LayerConfig((0, 1, 4, 8, 11), 1080),
        LayerConfig((6, 8), 237),
        LayerConfig((0,), 299),
        LayerConfig((7, 8, 10, 11), 437),
        LayerConfig((0, 1, 4, 8), 573),
        LayerConfig((), 53),
        LayerConfig((), 80),
        LayerConfig((4, 7), 211),
        LayerConfig((5,), 334),
    )
    channels = (90, 161, 173, 181, 351, 155, 137)
    return WavLMConfig(convolutions=convolutions(channels), layers=layers, **BASE)


def large_s80_md() -> WavLMConfig:
    layers = (
        LayerConfig((1, 2, 4, 5, 6), 1092),
        LayerConfig((9, 10, 14), 925),
        LayerConfig((0, 1, 2, 4, 5, 7), 759),
        LayerConfig((1, 4, 7, 12, 13, 14), 646),
        LayerConfig((0, 2, 3, 4, 13), 745),
        LayerConfig((1, 7, 13, 14, 15), 615),
        LayerConfig((11, 13, 15), 684),
        LayerConfig((2, 3, 4, 8, 15), 958),
        LayerConfig((2, 5, 6, 15), 286),
        LayerConfig((), 294),
        LayerConfig((0, 1), 406),
        LayerConfig((1, 3, 5, 12), 377),
        LayerConfig((), 463),
        LayerConfig((4, 7, 11), 542),
        LayerConfig((6, 9), 298),
        LayerConfig((11,), 236),
        LayerConfig((), 96),
        LayerConfig((), 104),
        LayerConfig((14,), 134),
        LayerConfig((5, 15), 211),
        LayerConfig((0, 2, 8, 11, 13, 15), 473),
        LayerConfig((0, 1, 3, 4, 5, 6, 7, 10, 13), 1011),
        LayerConfig((0, 1, 3, 6, 7, 9, 10, 11, 12, 14), 1770),
        LayerConfig((1, 2, 3, 4, 7, 13, 14, 15), 1316),
    )
    channels = (512, 153, 224, 255, 302, 368, 211)
    return WavLMConfig(convolutions=convolutions(channels), layers=layers, **LARGE)


PRESETS: dict[str, Callable[[], WavLMConfig]] = {
    "base": base,
    "large": large,
    "base-s80-md": base_s80_md,
    "large-s80-md": large_s80_md,
    "tiny": tiny,
}
