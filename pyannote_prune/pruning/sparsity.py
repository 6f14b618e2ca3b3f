"""Target, penalty, and how to meet the target in the end"""

from __future__ import annotations

import copy

import torch
import torch.nn as nn
from torch import Tensor

from ..wavlm.cost import Cost, cost, expected_cost
from ..wavlm.encoder import WavLM
from ..wavlm.gates import gates_of
from ..wavlm.gating import pruned_config, settle_gates
from .selection import select_units

# what sparsity can count
OBJECTIVES = {"parameters": "parameters", "macs": "macs_per_second"}


def sparsity(remaining: Cost, dense: Cost, objective: str = "parameters") -> float | Tensor:
    """Fraction of the dense encoder that is gone

    Parameters
    ----------
    remaining, dense : Cost
        Cost (or expected cost) of the pruned encoder, and that of the dense one.
    objective : {"parameters", "macs"}
        What to count.

    Returns
    -------
    sparsity : float or () torch.Tensor
        In [0, 1]: 0.8 when one parameter in five is left.
    """
    check_objective(objective)
    name = OBJECTIVES[objective]
    return 1 - getattr(remaining, name) / getattr(dense, name)


def check_objective(objective: str):
    if objective not in OBJECTIVES:
        raise ValueError(
            f"`objective` must be one of {', '.join(map(repr, OBJECTIVES))}, found {objective!r}: "
            "it says what `target_sparsity` is a fraction of."
        )


def check_target(target_sparsity: float):
    if isinstance(target_sparsity, bool) or not 0 <= target_sparsity < 1:
        raise ValueError(
            f"`target_sparsity` must be in [0, 1), found {target_sparsity}: it is the fraction of "
            "WavLM to remove (0.8 keeps one parameter in five)."
        )


def expected_sparsity(wavlm: WavLM, dense: Cost, objective: str = "parameters") -> Tensor:
    """Expected sparsity of a gated encoder, differentiable

    Returns
    -------
    sparsity : () torch.Tensor
    """
    return sparsity(expected_cost(wavlm), dense, objective)


def reached_sparsity(wavlm: WavLM, dense: Cost, objective: str = "parameters") -> float:
    """Sparsity of what pruning makes of a gated encoder"""
    return sparsity(cost(pruned_config(wavlm)), dense, objective)


def maximum_sparsity(wavlm: WavLM, dense: Cost, objective: str = "parameters") -> float:
    """Sparsity of a gated encoder once all its gates are closed"""
    closed = copy.deepcopy(wavlm)
    for gates in gates_of(closed):
        gates.settle(torch.zeros_like(gates.log_alpha, dtype=torch.bool))
    return reached_sparsity(closed, dense, objective)


def check_reachable(wavlm: WavLM, target_sparsity: float, dense: Cost, objective: str):
    """Refuse a target that is beyond what the gates of an encoder can remove"""
    maximum = maximum_sparsity(wavlm, dense, objective)
    if target_sparsity > maximum:
        raise ValueError(
            f"`target_sparsity` must be at most {maximum:.4f} ({objective}) with gates on "
            f"{', '.join(wavlm.units)}, found {target_sparsity}: choose more units, or a lower "
            "target."
        )


def target_at(progress: float, target_sparsity: float) -> float:
    """Target during the warm-up, linear from 0

    Parameters
    ----------
    progress : float
        Number of steps so far over number of warm-up steps.
    """
    return target_sparsity * min(1.0, max(0.0, progress))


class SparsityPenalty(nn.Module):
    """Augmented Lagrangian of "sparsity equals target"

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
        """

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
    wavlm: WavLM, target_sparsity: float, dense: Cost, objective: str = "parameters"
) -> WavLM:
    """Same gated encoder, with the units that stay chosen so that pruning it meets the target

    Training stops near the target rather than at it. Units are then closed, or opened, one after
    the other, in the order of the values of their gates; the smallest ones fill what remains of the
    gap. Units that stay have the value that training gave them, which is folded into weights: gates
    of the result are at 0 or at 1.

    Parameters
    ----------
    wavlm : WavLM
        With gates. Left as it was.
    target_sparsity : float
        Fraction of the dense encoder to remove.
    dense : Cost
        Cost of the dense encoder.
    objective : {"parameters", "macs"}, optional
        What sparsity counts.

    Returns
    -------
    settled : WavLM
        It computes in evaluation mode what pruning it gives.

    Raises
    ------
    ValueError
        If the target is beyond what these gates can remove: the message gives the maximum.
    """
    check_target(target_sparsity)
    check_reachable(wavlm, target_sparsity, dense, objective)
    left = round((1 - target_sparsity) * getattr(dense, OBJECTIVES[objective]))
    return settle_gates(wavlm, select_units(wavlm, left, OBJECTIVES[objective]))
