"""Measure sparsity, and bring it to a target"""

from __future__ import annotations

from typing import overload

import torch
import torch.nn as nn
from torch import Tensor

from ..segmentation.model import WavLMSegmentation
from ..wavlm.cost import Cost
from ..wavlm.encoder import WavLM
from ..wavlm.gates import gates_of
from .scope import Prunable, copy_gates, cost_once_pruned, cost_with_gates, settle_all
from .selection import select_units

# objective: field of `Cost` that sparsity is a fraction of
OBJECTIVES = {"parameters": "parameters", "macs": "macs_per_second"}


@overload
def sparsity(remaining: Cost[int], dense: Cost[int], objective: str = ...) -> float: ...
@overload
def sparsity(remaining: Cost[Tensor], dense: Cost[int], objective: str = ...) -> Tensor: ...
def sparsity(remaining: Cost, dense: Cost[int], objective: str = "parameters") -> float | Tensor:
    """Compute the fraction of a dense encoder, or of a dense model, that was removed

    Parameters
    ----------
    remaining, dense : Cost
        Cost (or expected cost) of what is pruned, and cost of what is dense.
    objective : {"parameters", "macs"}, optional
        Cost to compare. Defaults to "parameters".

    Returns
    -------
    sparsity : float or () torch.Tensor
        In [0, 1]: 0.8 when one parameter in five is left.
    """
    check_objective(objective)
    name = OBJECTIVES[objective]
    return 1 - getattr(remaining, name) / getattr(dense, name)


def check_objective(objective: str):
    """Check that an objective is one of `OBJECTIVES`

    Raises
    ------
    ValueError
        If it is not.
    """
    if objective not in OBJECTIVES:
        raise ValueError(
            f"`objective` must be one of {', '.join(map(repr, OBJECTIVES))}, found {objective!r}: "
            "`target_sparsity` is a fraction of it."
        )


def check_target(target_sparsity: float):
    """Check that a target is a fraction

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(target_sparsity, bool) or not 0 <= target_sparsity < 1:
        raise ValueError(
            f"`target_sparsity` must be in [0, 1), found {target_sparsity}: it is the fraction of "
            "WavLM (or of the whole model) to remove (0.8 keeps one parameter in five)."
        )


def expected_sparsity(
    gated: WavLM | WavLMSegmentation, dense: Cost[int], objective: str = "parameters"
) -> Tensor:
    """Compute the expected sparsity of a gated encoder, or of a gated model, differentiably

    Parameters
    ----------
    gated : WavLM or WavLMSegmentation
        An encoder stands for itself, a model for all of it, head included.
    dense : Cost
        Cost of the same before pruning: `cost` of an encoder, `model_cost` of a model.
    objective : {"parameters", "macs"}, optional
        Cost that sparsity is a fraction of. Defaults to "parameters".

    Returns
    -------
    sparsity : () torch.Tensor
    """
    return sparsity(cost_with_gates(gated), dense, objective)


def reached_sparsity(
    gated: WavLM | WavLMSegmentation, dense: Cost[int], objective: str = "parameters"
) -> float:
    """Compute the sparsity of a gated encoder, or of a gated model, once it is pruned"""
    return sparsity(cost_once_pruned(gated), dense, objective)


def maximum_sparsity(
    gated: WavLM | WavLMSegmentation, dense: Cost[int], objective: str = "parameters"
) -> float:
    """Compute the sparsity of a gated encoder, or of a gated model, with all gates closed"""
    closed = copy_gates(gated)
    for gates in gates_of(closed):
        gates.settle(torch.zeros_like(gates.log_alpha, dtype=torch.bool))
    return reached_sparsity(closed, dense, objective)


def check_reachable(
    gated: WavLM | WavLMSegmentation, target_sparsity: float, dense: Cost[int], objective: str
):
    """Check that the gates of an encoder, or of a model, can remove as much as a target asks for

    Raises
    ------
    ValueError
        If they cannot: the message gives the maximum.
    """
    maximum = maximum_sparsity(gated, dense, objective)
    if target_sparsity > maximum:
        raise ValueError(
            f"`target_sparsity` must be at most {maximum:.4f} ({objective}) with gates on "
            f"{', '.join(gated.units)}, found {target_sparsity}: choose more units, or a lower "
            "target."
        )


def target_at(progress: float, target_sparsity: float) -> float:
    """Compute the target during the warm-up, linear from 0

    Parameters
    ----------
    progress : float
        Number of past steps over number of warm-up steps.
    """
    return target_sparsity * min(1.0, max(0.0, progress))


class SparsityPenalty(nn.Module):
    """Compute the augmented Lagrangian of the constraint "sparsity equals target"

    Its multipliers are trained with the model, but by gradient ascent.

    References
    ----------
    Wang et al., "Structured Pruning of Large Language Models", EMNLP 2020 (section 3.2).
    """

    def __init__(self):
        super().__init__()
        self.lambda1 = nn.Parameter(torch.zeros(()))
        self.lambda2 = nn.Parameter(torch.zeros(()))

    def forward(self, sparsity: Tensor, target: float) -> Tensor:
        """Compute the penalty

        Parameters
        ----------
        sparsity : () torch.Tensor
            Expected sparsity.
        target : float
            Current target.

        Returns
        -------
        penalty : () torch.Tensor
        """
        excess = sparsity - target
        return self.lambda1 * excess + self.lambda2 * excess**2


def meet_target(
    gated: Prunable, target_sparsity: float, dense: Cost[int], objective: str = "parameters"
) -> Prunable:
    """Choose the units that stay, so that pruning a gated encoder, or model, meets a target

    Training stops near the target, not at it. Units are then closed, or opened, in an order that
    `select_units` describes. Units that stay keep the gate values of training, which are folded
    into weights: gates of the result are at 0 or at 1.

    Parameters
    ----------
    gated : WavLM or WavLMSegmentation
        With gates. Not modified. The target is about an encoder that is given alone, or about a
        whole model, head included.
    target_sparsity : float
        Fraction of the dense encoder, or of the dense model, to remove.
    dense : Cost
        Cost of the same before pruning: `cost` of an encoder, `model_cost` of a model.
    objective : {"parameters", "macs"}, optional
        Cost that sparsity is a fraction of. Defaults to "parameters".

    Returns
    -------
    settled : WavLM or WavLMSegmentation
        With gates. Pruning it does not change its outputs in evaluation mode.

    Raises
    ------
    ValueError
        If these gates cannot remove as much: the message gives the maximum.
    """
    check_target(target_sparsity)
    check_reachable(gated, target_sparsity, dense, objective)
    left = round((1 - target_sparsity) * getattr(dense, OBJECTIVES[objective]))
    return settle_all(gated, select_units(gated, left, OBJECTIVES[objective]))
