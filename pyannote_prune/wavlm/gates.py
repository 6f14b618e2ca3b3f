"""Hard concrete gates"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
from torch import Tensor

# sharpens the gates that stay open in evaluation mode (FLOP, CoFi and DPHuBERT have the same value)
SHARPNESS = 0.8

# keeps logarithms of uniform noise finite
EPSILON = 1e-6

# `log_alpha` above which (below minus which) a gate is open (closed) with probability 1
SATURATED = 50.0


class HardConcrete(nn.Module):
    """Gates between 0 (closed) and 1 (open)

    In training mode, gates are sampled, and gradients reach `log_alpha`. In evaluation mode, as
    many of them are closed as are expected to be, and others have a fixed value between 0 and 1.
    `log_alpha` is the only state: nothing is cached.

    Parameters
    ----------
    num_gates : int
        Number of gates.
    drop_rate : float, optional
        Initial probability of being closed, in (0, 1). Defaults to 0.01.
    min_open : int, optional
        Minimum number of open gates in evaluation mode. Defaults to 0.
    beta : float, optional
        Temperature of the concrete distribution. Defaults to 2/3.
    gamma, zeta : float, optional
        Bounds to which it is stretched, below 0 and above 1, so that exactly 0 and exactly 1 have
        a positive probability. Default to -0.1 and 1.1.

    Raises
    ------
    ValueError
        If a value is impossible.

    Examples
    --------
    >>> gates = HardConcrete(8, drop_rate=0.5).eval()
    >>> gates().shape, gates.kept().shape
    (torch.Size([8]), torch.Size([7]))

    References
    ----------
    Louizos et al., "Learning Sparse Neural Networks through L0 Regularization", ICLR 2018
    (equations 10 to 13).

    Wang et al., "Structured Pruning of Large Language Models", EMNLP 2020 (evaluation mode).
    """

    def __init__(
        self,
        num_gates: int,
        drop_rate: float = 0.01,
        min_open: int = 0,
        beta: float = 2 / 3,
        gamma: float = -0.1,
        zeta: float = 1.1,
    ) -> None:
        super().__init__()
        if not 0 < drop_rate < 1:
            raise ValueError(
                f"`drop_rate` must be in (0, 1), found {drop_rate}: it is a probability."
            )
        if not 0 <= min_open <= num_gates:
            raise ValueError(
                f"`min_open` must be between 0 and the number of gates ({num_gates}), "
                f"found {min_open}."
            )
        if not (beta > 0 and gamma < 0 and zeta > 1):
            raise ValueError(
                "`beta` must be positive, `gamma` negative and `zeta` above 1, "
                f"found {beta}, {gamma} and {zeta}."
            )
        self.min_open = min_open
        self.beta, self.gamma, self.zeta = beta, gamma, zeta
        mean = math.log(1 - drop_rate) - math.log(drop_rate)
        self.log_alpha = nn.Parameter(torch.empty(num_gates).normal_(mean, 0.01))

    @property
    def num_gates(self) -> int:
        return self.log_alpha.numel()

    def forward(self) -> Tensor:
        """Value of gates

        Returns
        -------
        gates : (num_gates,) torch.Tensor
            In [0, 1].
        """
        if self.training:
            noise = torch.empty_like(self.log_alpha).uniform_(EPSILON, 1 - EPSILON)
            return self.sample(noise)
        return self.soft_values() * self._open()

    def sample(self, noise: Tensor) -> Tensor:
        """Value of gates in training mode

        Parameters
        ----------
        noise : (num_gates,) torch.Tensor
            Uniform in (0, 1).
        """
        concrete = torch.sigmoid((noise.log() - (1 - noise).log() + self.log_alpha) / self.beta)
        return (concrete * (self.zeta - self.gamma) + self.gamma).clamp(0, 1)

    def probabilities(self) -> Tensor:
        """Probability of each gate not to be closed, differentiable

        Returns
        -------
        probabilities : (num_gates,) torch.Tensor
        """
        return torch.sigmoid(self.log_alpha - self.beta * math.log(-self.gamma / self.zeta))

    def l0_norm(self) -> Tensor:
        """Expected number of gates that are not closed, differentiable

        Returns
        -------
        l0_norm : () torch.Tensor
        """
        return self.probabilities().sum()

    def kept(self) -> Tensor:
        """Indices of the gates that are open in evaluation mode

        Returns
        -------
        kept : (num_kept,) torch.Tensor
            Increasing.
        """
        return self._open().nonzero().flatten()

    def values(self) -> Tensor:
        """Values, in evaluation mode, of the gates that are then open

        Returns
        -------
        values : (num_kept,) torch.Tensor
            In (0, 1), in the order of `kept`.
        """
        return self.soft_values()[self.kept()]

    def soft_values(self) -> Tensor:
        """Values, in evaluation mode, that all gates would have if they were open

        Returns
        -------
        values : (num_gates,) torch.Tensor
            In (0, 1).
        """
        return torch.sigmoid(SHARPNESS * self.log_alpha / self.beta)

    @torch.no_grad()
    def settle(self, is_open: Tensor) -> None:
        """Open some gates at exactly 1, and close the others, in both modes

        Parameters
        ----------
        is_open : (num_gates,) torch.Tensor
            Booleans.
        """
        self.log_alpha.copy_(torch.where(is_open, SATURATED, -SATURATED))

    def _open(self) -> Tensor:
        """1 for open gates and 0 for closed ones, in evaluation mode"""
        num_closed = round(self.num_gates - self.l0_norm().item())
        num_closed = min(num_closed, self.num_gates - self.min_open)
        # stable: among equal gates, the first ones are closed first
        closed = self.log_alpha.argsort(stable=True)[:num_closed]
        return torch.ones_like(self.log_alpha).index_fill(0, closed, 0.0)


def gates_of(module: nn.Module) -> list[HardConcrete]:
    """All gates of a module"""
    return [gates for gates in module.modules() if isinstance(gates, HardConcrete)]
