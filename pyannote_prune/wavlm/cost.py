"""Parameters and multiply-accumulate operations of an encoder

MACs are counted for one second of audio (16,000 samples, 49 frames): convolutions, linear layers
and attention products, as in Han et al. (Interspeech 2025). Sparsity is about the parameters of
WavLM, without the segmentation head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from ..files.audio import SAMPLE_RATE
from .config import WavLMConfig
from .encoder import TransformerLayer, WavLM
from .gates import HardConcrete
from .geometry import frames_per_convolution

Number = TypeVar("Number", int, Tensor)

# a count of units is an integer, an expected one a () tensor: both go through the same formulas
Count = Any


@dataclass(frozen=True)
class Cost(Generic[Number]):
    """Size of an encoder and amount of computation

    Parameters
    ----------
    parameters : int
        Number of parameters.
    macs_per_second : int
        Number of multiply-accumulate operations for one second of audio.
    """

    parameters: Number
    macs_per_second: Number

    def __add__(self, other: Cost[Number]) -> Cost[Number]:
        return Cost(
            self.parameters + other.parameters, self.macs_per_second + other.macs_per_second
        )


NOTHING: Cost = Cost(0, 0)


@dataclass(frozen=True)
class LayerUnits:
    """Units that are left in a layer: counts, or expectations

    Parameters
    ----------
    heads, neurons : int or () torch.Tensor
        Number of heads and neurons.
    attention, feed_forward : int or () torch.Tensor
        1 for a block that is there, 0 for a block that is gone, or a probability.
    """

    heads: Count
    attention: Count
    neurons: Count
    feed_forward: Count


def cost(encoder: WavLM | WavLMConfig) -> Cost[int]:
    """Cost of an encoder

    Parameters
    ----------
    encoder : WavLM or WavLMConfig
        Gates, if any, do not count: see `expected_cost`.

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
    return sum(cost_per_part(encoder).values(), start=NOTHING)


def cost_per_part(encoder: WavLM | WavLMConfig) -> dict[str, Cost[int]]:
    """Cost of each part of an encoder

    Returns
    -------
    costs : dict of Cost
        "extractor", "projection", "position", then "layers.0", "layers.1"...
    """
    config = encoder.config if isinstance(encoder, WavLM) else encoder
    channels = [convolution.channels for convolution in config.convolutions]
    layers = [
        LayerUnits(
            heads=len(layer.heads),
            attention=int(len(layer.heads) > 0),
            neurons=layer.neurons,
            feed_forward=int(layer.neurons > 0),
        )
        for layer in config.layers
    ]
    return _cost_per_part(config, channels, layers)


def expected_cost(wavlm: WavLM) -> Cost[Tensor]:
    """Expected cost of a gated encoder, differentiable

    Gates are independent. With all of them saturated, this is the cost of the pruned encoder.

    Returns
    -------
    cost : Cost
        Its fields are () torch.Tensor.
    """
    channels = [
        # one channel at least is kept
        count if gate is None else gate.l0_norm().clamp(min=1)
        for count, gate in (
            (shape.channels, convolution.gate)
            for shape, convolution in zip(
                wavlm.config.convolutions, wavlm.extractor.convolutions, strict=True
            )
        )
    ]
    layers = [_expected_units(layer) for layer in wavlm.layers]
    return sum(_cost_per_part(wavlm.config, channels, layers).values(), start=NOTHING)


def _expected_units(layer: TransformerLayer) -> LayerUnits:
    heads = attention = neurons = feed_forward = 0
    if layer.attention is not None:
        gates = layer.attention.gate
        num_heads = layer.attention.heads.numel()
        heads, attention = expected_block(num_heads, gates, layer.attention_gate)
    if layer.feed_forward is not None:
        gates = layer.feed_forward.gate
        num_neurons = layer.feed_forward.input.out_features
        neurons, feed_forward = expected_block(num_neurons, gates, layer.feed_forward_gate)
    return LayerUnits(heads, attention, neurons, feed_forward)


def expected_block(
    count: Count, gates: HardConcrete | None, block_gate: HardConcrete | None
) -> tuple[Count, Count]:
    """Expected number of open units, and probability that at least one is open"""
    present: Count = 1
    if gates is not None:
        count = gates.l0_norm()
        present = 1 - torch.prod(1 - gates.probabilities())
    if block_gate is not None:
        probability = block_gate.l0_norm()
        count, present = probability * count, probability * present
    return count, present


def _cost_per_part(
    config: WavLMConfig, channels: Sequence[Count], layers: Sequence[LayerUnits]
) -> dict[str, Cost]:
    """Compute the cost of each part from counts or expectations (there are no other formulas)"""
    num_frames = frames_per_convolution(config.convolutions, SAMPLE_RATE)[-1]
    costs = {
        "extractor": _extractor(config, channels),
        "projection": _projection(config, channels[-1], num_frames),
        "position": _position(config, num_frames),
    }
    for i, units in enumerate(layers):
        norms = Cost(4 * config.embed_dim, 0)
        attention = _attention(config, units, num_frames)
        costs[f"layers.{i}"] = norms + attention + _feed_forward(config, units, num_frames)
    return costs


def _extractor(config: WavLMConfig, channels: Sequence[Count]) -> Cost:
    num_frames = frames_per_convolution(config.convolutions, SAMPLE_RATE)
    num_inputs, parameters, macs = 1, 0, 0
    for index, (num_outputs, frames) in enumerate(zip(channels, num_frames, strict=True)):
        weights = num_inputs * num_outputs * config.convolutions[index].kernel
        has_norm = config.conv_norm == "layer" or index == 0
        per_channel = 2 * has_norm + config.conv_bias
        parameters = parameters + weights + per_channel * num_outputs
        macs = macs + weights * frames
        num_inputs = num_outputs
    scale = num_inputs
    return Cost(parameters + scale, macs)


def _projection(config: WavLMConfig, num_channels: Count, num_frames: int) -> Cost:
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


def _attention(config: WavLMConfig, units: LayerUnits, num_frames: int) -> Cost:
    inner_dim = units.heads * config.head_dim
    weights = 4 * inner_dim * config.embed_dim
    # output bias, gate of the position bias
    fixed = config.embed_dim + 8 * (config.head_dim + 1) + config.num_heads
    products = 2 * num_frames**2 * inner_dim
    parameters = weights + 3 * inner_dim + units.attention * fixed
    return Cost(parameters, weights * num_frames + products)


def _feed_forward(config: WavLMConfig, units: LayerUnits, num_frames: int) -> Cost:
    weights = 2 * units.neurons * config.embed_dim
    parameters = weights + units.neurons + units.feed_forward * config.embed_dim
    return Cost(parameters, weights * num_frames)
