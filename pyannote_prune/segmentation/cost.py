"""Parameters and multiply-accumulate operations of a whole model, head included

Counted as those of WavLM are: for one second of audio, convolutions, linear layers (those of an
LSTM too) and attention products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch.nn as nn
from torch import Tensor

from ..files.audio import SAMPLE_RATE
from ..wavlm.cost import NOTHING, Cost, Count, cost, expected_block, expected_cost
from ..wavlm.gating import pruned_config
from ..wavlm.geometry import frames_per_convolution
from .conformer import ConformerLayer, ConformerLayerConfig, PrunableConformer, layer_configs
from .conformer_gates import gates_of_block, pruned_options
from .head import LSTMOptions
from .model import WavLMSegmentation

# number of units of a block, and 1 if it is there, or 0: counts, or expectations
Block = tuple[Count, Count]


@dataclass(frozen=True)
class ConformerUnits:
    """Units that are left in a layer of a Conformer"""

    first: Block
    attention: Block
    convolution: Block
    second: Block


def model_cost(model: WavLMSegmentation) -> Cost[int]:
    """Compute the cost of a model: of WavLM and of its head, classifier included if there is one

    Parameters
    ----------
    model : WavLMSegmentation
        Gates, if any, do not count: see `expected_model_cost`.

    Returns
    -------
    cost : Cost
        `parameters` is exactly the number of elements of the parameters of the model.
    """
    return cost(model.wavlm) + sum(head_cost_per_part(model).values(), start=NOTHING)


def head_cost_per_part(model: WavLMSegmentation) -> dict[str, Cost[int]]:
    """Compute the cost of each part of a head

    Returns
    -------
    costs : dict of Cost
        "mixture", "projection", "conformer.0", "conformer.1"... or "lstm", "linear", "classifier".
    """
    is_conformer = model.head.lstm is None
    return _cost_per_part(model, _counted(model.head.conformer) if is_conformer else [])


def expected_model_cost(model: WavLMSegmentation) -> Cost[Tensor]:
    """Compute the expected cost of a gated model, differentiably

    Gates are independent. With all of them saturated, this is the cost of the pruned model.

    Returns
    -------
    cost : Cost
        Its fields are () torch.Tensor.
    """
    head: Mapping[str, Cost[Any]] = head_cost_per_part(model)
    if model.head_units:
        conformer = cast(PrunableConformer, model.conformer)
        pairs = zip(conformer.layers, conformer.conformer_layers, strict=True)
        head = _cost_per_part(model, [_expected(shape, layer) for shape, layer in pairs])
    return sum(head.values(), start=expected_cost(model.wavlm))


def pruned_model_cost(model: WavLMSegmentation) -> Cost[int]:
    """Compute the cost of a gated model once it is pruned"""
    head = head_cost_per_part(model)
    if model.head_units:
        conformer = cast(PrunableConformer, model.conformer)
        head = _cost_per_part(model, _counted(pruned_options(conformer)))
    return sum(head.values(), start=cost(pruned_config(model.wavlm)))


def _counted(options: Mapping[str, Any]) -> list[ConformerUnits]:
    return [
        ConformerUnits(
            *(
                (count, int(count > 0))
                for count in (x.first_neurons, x.heads, x.channels, x.second_neurons)
            )
        )
        for x in layer_configs(options)
    ]


def _expected(shape: ConformerLayerConfig, layer: ConformerLayer) -> ConformerUnits:
    def block(count: int, module: nn.Module | None) -> Block:
        return (0, 0) if module is None else expected_block(count, gates_of_block(module), None)

    return ConformerUnits(
        first=block(shape.first_neurons, layer.ffn1),
        attention=block(shape.heads, layer.self_attn),
        convolution=block(shape.channels, layer.conv_module),
        second=block(shape.second_neurons, layer.ffn2),
    )


def _cost_per_part(
    model: WavLMSegmentation, layers: Sequence[ConformerUnits]
) -> dict[str, Cost[Any]]:
    """Compute the cost of each part from counts or expectations (there are no other formulas)"""
    head, config = model.head, model.wavlm.config
    num_frames = frames_per_convolution(config.convolutions, SAMPLE_RATE)[-1]
    weights = head.initial_weights(config.num_layers)
    costs: dict[str, Cost[Any]] = {"mixture": Cost(0 if weights is None else weights.numel(), 0)}
    dim = config.embed_dim
    if head.lstm is not None:
        costs["lstm"], dim = _lstm(head.lstm, dim, num_frames), head.lstm.dimension
    else:
        if head.projection:
            norm = Cost(2 * head.conformer["input_dim"], 0)
            costs["projection"] = _linear(dim, head.conformer["input_dim"], num_frames) + norm
        dim = head.conformer["input_dim"]
        for index, units in enumerate(layers):
            costs[f"conformer.{index}"] = _conformer(head.conformer, units, num_frames)
    if head.linear.num_layers:
        dims = [dim, *[head.linear.hidden_size] * head.linear.num_layers]
        pairs = pairwise(dims)
        costs["linear"] = sum((_linear(*pair, num_frames) for pair in pairs), start=NOTHING)
        dim = head.linear.hidden_size
    if hasattr(model, "classifier"):
        costs["classifier"] = _linear(dim, model.classifier.out_features, num_frames)
    return costs


def _linear(num_inputs: int, num_outputs: int, num_frames: int) -> Cost[int]:
    weights = num_inputs * num_outputs
    return Cost(weights + num_outputs, weights * num_frames)


def _lstm(options: LSTMOptions, num_inputs: int, num_frames: int) -> Cost[int]:
    num_directions = 2 if options.bidirectional else 1
    weights, size = 0, options.hidden_size
    for _ in range(options.num_layers):
        weights += 4 * size * (num_inputs + size) * num_directions
        num_inputs = options.dimension
    biases = 8 * size * num_directions * options.num_layers
    return Cost(weights + biases, weights * num_frames)


def _conformer(options: Mapping[str, Any], units: ConformerUnits, num_frames: int) -> Cost[Any]:
    dim, head_dim = options["input_dim"], options["input_dim"] // options["num_heads"]
    (heads, attention), (channels, convolution) = units.attention, units.convolution
    inner_dim, kernel = heads * head_dim, options["depthwise_conv_kernel_size"]

    feed_forward = sum(
        (_feed_forward(x, dim, num_frames) for x in (units.first, units.second)), NOTHING
    )
    weights = 4 * inner_dim * dim
    products = 2 * num_frames**2 * inner_dim
    # biases; normalization and output bias of a block that is there
    attending = Cost(weights + 3 * inner_dim + 3 * dim * attention, weights * num_frames + products)
    weights = 3 * channels * dim + channels * kernel
    # biases of two convolutions, one of which has twice as many outputs; normalization of channels
    per_channel = 3 + 2
    convolving = Cost(
        weights + per_channel * channels + 3 * dim * convolution, weights * num_frames
    )
    norm = Cost(2 * dim, 0)
    return feed_forward + attending + convolving + norm


def _feed_forward(block: Block, dim: int, num_frames: int) -> Cost[Any]:
    neurons, present = block
    weights = 2 * neurons * dim
    return Cost(weights + neurons + 3 * dim * present, weights * num_frames)
