"""One-shot pruning by magnitude: the baseline of learned gates"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ...pruning.prune import gate, prune
from ...pruning.sparsity import check_objective, check_reachable, check_target, reached_sparsity
from ...segmentation.model import WavLMSegmentation
from ...wavlm.cost import cost
from ...wavlm.encoder import WavLM
from ...wavlm.gated_weights import gated_weights
from ...wavlm.gates import HardConcrete

# difference to the target that is not worth looking for smaller units
CLOSE_ENOUGH = 2.5e-3


def prune_by_magnitude(
    model: WavLMSegmentation,
    target_sparsity: float,
    objective: str = "parameters",
    units: Collection[str] = ("channel", "head", "neuron"),
    per_layer: bool = False,
) -> WavLMSegmentation:
    """Remove the units with the smallest weights, at once and without data

    The magnitude of a unit is the root mean square of its incoming and outgoing weights, over the
    average of its layer: one threshold is enough for all layers. Units that would exceed the target
    stay, whatever their magnitude: some heads, as opposed to neurons, are percents of an encoder.

    Parameters
    ----------
    model : WavLMSegmentation
        Must not have gates. It does not change.
    target_sparsity : float
        Fraction of its WavLM to remove, in [0, 1).
    objective : {"parameters", "macs"}, optional
        What sparsity counts. Defaults to parameters.
    units : tuple of str, optional
        Units that can be removed: "channel", "head" and "neuron" (the default), or some of them.
    per_layer : bool, optional
        Remove the same fraction of each kind of unit of each layer instead, rounded to whole units:
        each has a threshold of its own. Defaults to a single threshold.

    Returns
    -------
    pruned : WavLMSegmentation
        Smaller model. Its weights have the values that they had in `model`.

    Raises
    ------
    ValueError
        If an option is impossible, or if removing all of these units does not reach the target.

    References
    ----------
    Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017 (magnitude of filters).
    """
    check_target(target_sparsity)
    check_objective(objective)
    if not set(units) <= {"channel", "head", "neuron"}:
        raise ValueError(
            "`units` must be among 'channel', 'head' and 'neuron', which have weights to compare, "
            f"found {units!r}."
        )
    dense, gated = cost(model.wavlm), gate(model, units)
    check_reachable(gated.wavlm, target_sparsity, dense, objective)
    ranked = magnitudes(gated.wavlm)
    if per_layer:
        ranked = [(gates, _quantiles(magnitude)) for gates, magnitude in ranked]
    order = torch.cat([magnitude for _, magnitude in ranked]).argsort(stable=True)
    closed = torch.zeros(len(order), dtype=torch.bool)

    def reached(chosen: Tensor) -> float:
        _close(ranked, chosen)
        return reached_sparsity(gated.wavlm, dense, objective)

    def first(number: int) -> Tensor:
        return closed.scatter(0, order[:number], True)

    # largest number of units, in their order, that does not exceed the target
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if reached(first(middle)) <= target_sparsity else (low, middle - 1)
        )
    closed, left = first(low), order[low:]
    for unit in left:
        if target_sparsity - reached(closed) < CLOSE_ENOUGH:
            break
        further = closed.scatter(0, unit, True)
        closed = further if reached(further) <= target_sparsity else closed
    reached(closed)
    return prune(gated)


@torch.no_grad()
def magnitudes(wavlm: WavLM) -> list[tuple[HardConcrete, Tensor]]:
    """Compute the magnitude of all units that gates of an encoder can close

    Returns
    -------
    magnitudes : list of (HardConcrete, (num_gates,) torch.Tensor)
        Gates of each layer, and magnitudes of their units relative to the average of the layer.
    """
    parameters = dict(wavlm.named_parameters())
    found = []
    for gated in gated_weights(wavlm):
        rows = [parameters[key] for key in gated.rows if key in parameters]
        columns = [parameters[key].transpose(0, 1) for key in gated.columns]
        # biases and normalizations have one dimension
        weights = [weight for weight in rows + columns if weight.ndim > 1]
        if weights:
            norm = _relative_norm([weight.unflatten(0, (-1, gated.size)) for weight in weights])
            found.append((gated.gates, norm))
    return found


def _relative_norm(weights: list[Tensor]) -> Tensor:
    # all sets of weights count alike, whatever their size
    squares = [w.flatten(1).square().mean(1) / w.square().mean() for w in weights]
    norm = torch.stack(squares).mean(0).sqrt()
    return norm / norm.mean()


def _quantiles(magnitude: Tensor) -> Tensor:
    """Share of the units of a layer that are weaker than each of them, and half of itself

    Fractions are hence rounded to the nearest whole unit: of four heads, the last one goes
    at 87.5 %. Units of the same share follow each other in the order of layers.
    """
    ranks = magnitude.argsort().argsort()
    return (ranks + 0.5) / len(magnitude)


def _close(ranked: list[tuple[HardConcrete, Tensor]], closed: Tensor) -> None:
    """Close some gates, and open the others, at exactly 1

    Parameters
    ----------
    ranked : list of (HardConcrete, (num_gates,) torch.Tensor)
        See `magnitudes`.
    closed : (num_units,) torch.Tensor
        Booleans, of the units of all layers.
    """
    parts = closed.split([len(magnitude) for _, magnitude in ranked])
    for (gates, magnitude), part in zip(ranked, parts, strict=True):
        is_open = ~part
        is_open[magnitude.topk(gates.min_open).indices] = True
        gates.settle(is_open)
