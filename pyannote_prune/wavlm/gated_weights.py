"""Weights that are removed with gates"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn as nn
from torch import Tensor

from .encoder import WavLM
from .gates import HardConcrete, gates_of

Gated = TypeVar("Gated", bound=nn.Module)


@dataclass(frozen=True)
class GatedWeights:
    """Gates of one module, and the weights that go with them, by names in the state dict

    Parameters
    ----------
    gates : HardConcrete
    rows : tuple of str
        Tensors with `size` consecutive elements of their first dimension for each unit.
    columns : tuple of str
        Tensors with as many of their second dimension.
    folded : tuple of (str, int or None)
        Tensors that values of gates can be multiplied with instead of the output of the units, and
        the dimension along which units are, or None for a whole block.
    size : int, optional
        Defaults to 1.
    stacked : tuple of (str, int), optional
        Tensors whose first dimension has several such parts, one after another (such as queries,
        keys and values), and the number of parts. Defaults to none.
    """

    gates: HardConcrete
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    folded: tuple[tuple[str, int | None], ...]
    size: int = 1
    stacked: tuple[tuple[str, int], ...] = ()

    def indices(self, num_parts: int = 1) -> Tensor:
        """Indices, along these dimensions, of units that are open in evaluation mode"""
        kept = self.gates.kept()
        offsets = torch.arange(self.size, device=kept.device)
        starts = torch.arange(num_parts, device=kept.device) * self.gates.num_gates
        units = starts[:, None] + kept
        return (units[..., None] * self.size + offsets).flatten()

    def factors(self, num_dimensions: int, dimension: int | None) -> Tensor:
        """Values of gates in evaluation mode, open or not, for a tensor of `folded`"""
        values = self.gates.soft_values().detach().repeat_interleave(self.size)
        if dimension is None:
            return values
        return values.reshape([-1 if i == dimension else 1 for i in range(num_dimensions)])


def fold_values(module: nn.Module, groups: Iterable[GatedWeights]) -> dict[str, Tensor]:
    """Weights of a gated module, gates excluded, times the values of the gates before them

    Parameters
    ----------
    module : torch.nn.Module
    groups : iterable of GatedWeights
        All gates of the module.

    Returns
    -------
    weights : dict of torch.Tensor
        Of the same shapes. A module with these weights, and gates at 1, computes the same.
    """
    weights = {k: v.detach() for k, v in module.state_dict().items() if not k.endswith("log_alpha")}
    for gated in groups:
        for key, dimension in gated.folded:
            weights[key] = weights[key] * gated.factors(weights[key].ndim, dimension)
    return weights


def without_closed_units(
    weights: Mapping[str, Tensor], groups: Iterable[GatedWeights]
) -> dict[str, Tensor]:
    """Weights that are left once closed units are removed"""
    left = dict(weights)
    for gated in groups:
        for dimension, keys in enumerate((gated.rows, gated.columns)):
            for key in left.keys() & set(keys):
                left[key] = left[key].index_select(dimension, gated.indices())
        for key, num_parts in gated.stacked:
            left[key] = left[key].index_select(0, gated.indices(num_parts))
    return left


def settle(module: Gated, groups: Iterable[GatedWeights], is_open: Sequence[Tensor]) -> Gated:
    """Copy a gated module, with some gates open, at exactly 1, and the others closed

    Former values of gates are folded into the next weights, also for gates that are now closed:
    the choice of gates does not change the weights of units that are kept.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it was.
    groups : iterable of GatedWeights
        All gates of the module.
    is_open : sequence of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates.
    """
    settled = copy.deepcopy(module)
    settled.load_state_dict(module.state_dict() | fold_values(module, groups))
    for gates, mask in zip(gates_of(settled), is_open, strict=True):
        gates.settle(mask)
    return settled


def gated_weights(wavlm: WavLM) -> Iterator[GatedWeights]:
    """Iterate over the gates of an encoder, with their weights"""
    yield from _channels(wavlm)
    for index, layer in enumerate(wavlm.layers):
        if layer.attention is not None:
            name, heads = f"layers.{index}.attention", layer.attention
            incoming = [f"{name}.{projection}" for projection in ("query", "key", "value")]
            yield from _block(name, incoming, heads.gate, layer.attention_gate, heads.head_dim)
        if layer.feed_forward is not None:
            name, neurons = f"layers.{index}.feed_forward", layer.feed_forward
            yield from _block(name, [f"{name}.input"], neurons.gate, layer.feed_forward_gate)


def _channels(wavlm: WavLM) -> Iterator[GatedWeights]:
    convolutions = wavlm.extractor.convolutions
    for index, convolution in enumerate(convolutions):
        if convolution.gate is None:
            continue
        name = f"extractor.convolutions.{index}"
        rows = tuple(f"{name}.{m}.{leaf}" for m in ("conv", "norm") for leaf in ("weight", "bias"))
        if index + 1 < len(convolutions):
            following = f"extractor.convolutions.{index + 1}.conv.weight"
            yield GatedWeights(convolution.gate, rows, (following,), ((following, 1),))
        else:
            # values do not pass the normalization that comes next: `scale` carries them
            scale, following = "extractor.scale", "projection.linear.weight"
            rows += (scale, "projection.norm.weight", "projection.norm.bias")
            yield GatedWeights(convolution.gate, rows, (following,), ((scale, 0),))


def _block(
    name: str,
    incoming: list[str],
    gates: HardConcrete | None,
    block_gate: HardConcrete | None,
    size: int = 1,
) -> Iterator[GatedWeights]:
    """Heads or neurons, then the whole block"""
    output = f"{name}.output"
    if gates is not None:
        rows = tuple(f"{linear}.{leaf}" for linear in incoming for leaf in ("weight", "bias"))
        columns = (f"{output}.weight",)
        yield GatedWeights(gates, rows, columns, ((columns[0], 1),), size)
    if block_gate is not None:
        folded = ((f"{output}.weight", None), (f"{output}.bias", None))
        yield GatedWeights(block_gate, (), (), folded)
