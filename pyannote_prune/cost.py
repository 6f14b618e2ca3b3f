"""Parameters and multiply-accumulate operations of an encoder

MACs are those of one second of audio (16,000 samples, 49 frames): convolutions, linear layers and
attention products, as in Han et al. (Interspeech 2025). What sparsity counts is said here:
parameters of WavLM, segmentation head excluded.
"""

from __future__ import annotations

from dataclasses import dataclass

from .wavlm.config import LayerConfig, WavLMConfig
from .wavlm.encoder import WavLM
from .wavlm.geometry import frames_per_convolution

SAMPLES_PER_SECOND = 16000


@dataclass(frozen=True)
class Cost:
    """Size of an encoder and amount of computation

    Parameters
    ----------
    parameters : int
        Number of parameters.
    macs_per_second : int
        Number of multiply-accumulate operations for one second of audio.
    """

    parameters: int
    macs_per_second: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters, self.macs_per_second + other.macs_per_second
        )


def cost(encoder: WavLM | WavLMConfig) -> Cost:
    """Cost of an encoder

    Parameters
    ----------
    encoder : WavLM or WavLMConfig

    Returns
    -------
    cost : Cost
        `parameters` is exactly the number of elements of the parameters of the encoder.

    Examples
    --------
    >>> from pyannote_prune import WavLMConfig
    >>> cost(WavLMConfig.preset("base-s80-md"))
    Cost(parameters=18881683, macs_per_second=1134228239)
    """
    return sum(cost_per_part(encoder).values(), start=Cost(0, 0))


def cost_per_part(encoder: WavLM | WavLMConfig) -> dict[str, Cost]:
    """Cost of each part of an encoder

    Returns
    -------
    costs : dict of Cost
        "extractor", "projection", "position", then "layers.0", "layers.1"...
    """
    config = encoder.config if isinstance(encoder, WavLM) else encoder
    num_frames = frames_per_convolution(config.convolutions, SAMPLES_PER_SECOND)[-1]
    costs = {
        "extractor": _extractor(config),
        "projection": _projection(config, num_frames),
        "position": _position(config, num_frames),
    }
    for i, layer in enumerate(config.layers):
        costs[f"layers.{i}"] = _layer(config, layer, num_frames)
    return costs


def _extractor(config: WavLMConfig) -> Cost:
    num_frames = frames_per_convolution(config.convolutions, SAMPLES_PER_SECOND)
    num_inputs, parameters, macs = 1, 0, 0
    for index, (convolution, frames) in enumerate(
        zip(config.convolutions, num_frames, strict=True)
    ):
        weights = num_inputs * convolution.channels * convolution.kernel
        norm = 2 * convolution.channels if config.conv_norm == "layer" or index == 0 else 0
        bias = convolution.channels if config.conv_bias else 0
        parameters += weights + norm + bias
        macs += weights * frames
        num_inputs = convolution.channels
    scale = num_inputs
    return Cost(parameters + scale, macs)


def _projection(config: WavLMConfig, num_frames: int) -> Cost:
    num_channels = config.convolutions[-1].channels
    norm = 2 * num_channels
    weights = num_channels * config.embed_dim
    return Cost(norm + weights + config.embed_dim, weights * num_frames)


def _position(config: WavLMConfig, num_frames: int) -> Cost:
    """Position embedding, relative position bias, and the normalization that follows them"""
    kernel = config.position_kernel
    weights = config.embed_dim * (config.embed_dim // config.position_groups) * kernel
    convolution = weights + kernel + config.embed_dim  # magnitudes, biases
    bias = config.num_buckets * config.num_heads
    norm = 2 * config.embed_dim
    # an even kernel computes one frame too many
    return Cost(convolution + bias + norm, weights * (num_frames + (kernel % 2 == 0)))


def _layer(config: WavLMConfig, layer: LayerConfig, num_frames: int) -> Cost:
    norms = Cost(4 * config.embed_dim, 0)
    attention = _attention(config, len(layer.heads), num_frames)
    feed_forward = _feed_forward(config, layer.neurons, num_frames)
    return norms + attention + feed_forward


def _attention(config: WavLMConfig, num_heads: int, num_frames: int) -> Cost:
    if num_heads == 0:
        return Cost(0, 0)
    inner_dim = num_heads * config.head_dim
    weights = 4 * inner_dim * config.embed_dim
    biases = 3 * inner_dim + config.embed_dim
    gate = 8 * (config.head_dim + 1) + config.num_heads
    products = 2 * num_frames**2 * inner_dim
    return Cost(weights + biases + gate, weights * num_frames + products)


def _feed_forward(config: WavLMConfig, neurons: int, num_frames: int) -> Cost:
    if neurons == 0:
        return Cost(0, 0)
    weights = 2 * neurons * config.embed_dim
    return Cost(weights + neurons + config.embed_dim, weights * num_frames)
