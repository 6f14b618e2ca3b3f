"""Attach gates to a Conformer, and remove closed units"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import torch.nn as nn
from torch import Tensor
from torchaudio.models import Conformer

from ..wavlm.gated_weights import GatedWeights, fold_values, settle, without_closed_units
from ..wavlm.gates import HardConcrete
from .conformer import (
    LAYERS,
    ConformerLayer,
    ConformerLayerConfig,
    FeedForward,
    PrunableConformer,
    with_layers,
)


def make_conformer(
    options: Mapping[str, Any], units: Collection[str] = ()
) -> Conformer | PrunableConformer:
    """Make the Conformer of torchaudio, unless it has gates, or was pruned

    Parameters
    ----------
    options : dict
        See `layer_configs`.
    units : tuple of str, optional
        Units that get gates. Defaults to none.
    """
    if units or LAYERS in options:
        return PrunableConformer(options, units)
    return Conformer(**options)


def attach_conformer_gates(
    conformer: Conformer | PrunableConformer, options: Mapping[str, Any], units: Collection[str]
) -> PrunableConformer:
    """Copy a Conformer, with gates

    Parameters
    ----------
    conformer : Conformer or PrunableConformer
        Left as it was. Must not have gates.
    options : dict
        See `layer_configs`.
    units : tuple of str
        Units that get gates.
    """
    gated = PrunableConformer(options, units).to(next(conformer.parameters()))
    gated.load_state_dict(gated.state_dict() | conformer.state_dict())
    return gated.train(conformer.training)


def remove_conformer_gates(conformer: PrunableConformer) -> Conformer | PrunableConformer:
    """Make a smaller Conformer, without gates, that has the same output in evaluation mode

    Values of gates that are left are folded into the weights that come next. Blocks that lose all
    of their units are removed with their normalizations.

    Parameters
    ----------
    conformer : PrunableConformer
        Left as it was.
    """
    groups = [*conformer_weights(conformer)]
    weights = without_closed_units(fold_values(conformer, groups), groups)
    pruned = make_conformer(pruned_options(conformer)).to(next(conformer.parameters()))
    # removed blocks have no weights
    pruned.load_state_dict({key: weights[key] for key in pruned.state_dict()})
    return pruned.train(conformer.training)


def settle_conformer(conformer: PrunableConformer, is_open: Sequence[Tensor]) -> PrunableConformer:
    """Copy a gated Conformer, with some gates open, at exactly 1, and the others closed

    Parameters
    ----------
    conformer : PrunableConformer
        Left as it was.
    is_open : sequence of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates.
    """
    return settle(conformer, [*conformer_weights(conformer)], is_open)


def pruned_options(conformer: PrunableConformer) -> dict[str, Any]:
    """Arguments of the Conformer that `remove_conformer_gates` returns"""
    layers = [
        ConformerLayerConfig(
            first_neurons=_kept(shape.first_neurons, layer.ffn1),
            heads=_kept(shape.heads, layer.self_attn),
            channels=_kept(shape.channels, layer.conv_module),
            second_neurons=_kept(shape.second_neurons, layer.ffn2),
        )
        for shape, layer in zip(conformer.layers, conformer.conformer_layers, strict=True)
    ]
    return with_layers(conformer.options, layers)


def _kept(size: int, block: nn.Module | None) -> int:
    gates = gates_of_block(block)
    return size if gates is None else len(gates.kept())


def gates_of_block(block: nn.Module | None) -> HardConcrete | None:
    """Gates of a block of a Conformer layer, if it is there and has any"""
    return None if block is None else cast("HardConcrete | None", block.gate)


def conformer_weights(conformer: PrunableConformer) -> Iterator[GatedWeights]:
    """Iterate over the gates of a Conformer, with their weights"""
    for index, layer in enumerate(conformer.conformer_layers):
        name = f"conformer_layers.{index}"
        yield from _neurons(f"{name}.ffn1.sequential", layer.ffn1)
        yield from _heads(f"{name}.self_attn", layer)
        yield from _channels(f"{name}.conv_module.sequential", layer)
        yield from _neurons(f"{name}.ffn2.sequential", layer.ffn2)


def _neurons(name: str, block: FeedForward | None) -> Iterator[GatedWeights]:
    if block is not None and block.gate is not None:
        following = f"{name}.4.weight"
        rows = (f"{name}.1.weight", f"{name}.1.bias")
        yield GatedWeights(block.gate, rows, (following,), ((following, 1),))


def _heads(name: str, layer: ConformerLayer) -> Iterator[GatedWeights]:
    block = layer.self_attn
    if block is not None and block.gate is not None:
        following = f"{name}.out_proj.weight"
        # queries, keys, values
        stacked = ((f"{name}.in_proj_weight", 3), (f"{name}.in_proj_bias", 3))
        folded = ((following, 1),)
        yield GatedWeights(block.gate, (), (following,), folded, block.head_dim, stacked)


def _channels(name: str, layer: ConformerLayer) -> Iterator[GatedWeights]:
    block = layer.conv_module
    if block is not None and block.gate is not None:
        following = f"{name}.5.weight"
        # values, and what multiplies them in the gated linear unit
        stacked = ((f"{name}.0.weight", 2), (f"{name}.0.bias", 2))
        leaves = ("2.weight", "2.bias", "3.weight", "3.bias", "3.running_mean", "3.running_var")
        rows = tuple(f"{name}.{leaf}" for leaf in leaves)
        yield GatedWeights(block.gate, rows, (following,), ((following, 1),), stacked=stacked)
