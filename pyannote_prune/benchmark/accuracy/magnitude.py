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


def prune_by_magnitude(
    model: WavLMSegmentation,
    target_sparsity: float,
    objective: str = "parameters",
    units: Collection[str] = ("channel", "head", "neuron"),
) -> WavLMSegmentation:
    """Remove the units with the smallest weights, at once and without data

    The magnitude of a unit is the root mean square of its incoming and outgoing weights, over the
    average of its layer: one threshold is enough for all layers.

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
    thresholds = torch.cat([magnitude for _, magnitude in ranked]).sort().values.tolist()

    def reached(index: int) -> float:
        _close_below(ranked, thresholds[index])
        return reached_sparsity(gated.wavlm, dense, objective)

    low, high = 0, len(thresholds) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= target_sparsity else (middle + 1, high)
    best = min((max(low - 1, 0), low), key=lambda i: abs(reached(i) - target_sparsity))
    reached(best)
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


def _close_below(ranked: list[tuple[HardConcrete, Tensor]], threshold: float):
    """Close gates below a magnitude, and open the others, at exactly 1"""
    for gates, magnitude in ranked:
        closed = magnitude < threshold
        closed[magnitude.topk(gates.min_open).indices] = False
        gates.settle(~closed)
