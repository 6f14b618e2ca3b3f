"""Clip gradients to a percentile of recent norms"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import lightning
import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from .options import check_at_least


class PercentileGradientClipping(lightning.Callback):
    """Clip gradients to a percentile of their recent norms

    The norm is taken over all optimized parameters together, except in optimizer groups with
    `"clip": False`, which are not clipped. Gradients of non-finite norm are neither clipped nor
    added to the history. Logs `gradient/norm` (before clipping) and `gradient/threshold`.

    Parameters
    ----------
    percentile : float, optional
        In (0, 100]. Defaults to 90: one step in ten is clipped when norms are stable.
    history_size : int, optional
        Number of recent norms, including the current one. Defaults to 1000.

    Raises
    ------
    ValueError
        If an option is impossible.

    References
    ----------
    Seetharaman et al., "AutoClip: Adaptive Gradient Clipping for Source Separation Networks",
    MLSP 2020 (there, the history is unlimited).
    """

    def __init__(self, percentile: float = 90.0, history_size: int = 1000):
        if not 0 < percentile <= 100:
            raise ValueError(f"`percentile` must be in (0, 100], found {percentile}.")
        check_at_least(1, history_size=history_size)
        self.percentile = percentile
        self.history: deque[float] = deque(maxlen=history_size)

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ):
        # gradients are accumulated, unscaled, and the same in all processes (DDP has averaged them
        # during the backward pass): norm and history are the same too, without communication
        groups = [group for group in optimizer.param_groups if group.get("clip", True)]
        parameters = [p for group in groups for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        total_norm = get_total_norm([p.grad for p in parameters])
        norm = total_norm.item()
        pl_module.log("gradient/norm", norm, on_step=True, on_epoch=False)
        if not math.isfinite(norm):
            return
        self.history.append(norm)
        norms = torch.tensor(list(self.history), dtype=torch.float64)
        threshold = torch.quantile(norms, self.percentile / 100).item()
        pl_module.log("gradient/threshold", threshold, on_step=True, on_epoch=False)
        # torch divides by norm + 1e-6, which would shrink small gradients even below the threshold
        if norm > threshold:
            clip_grads_with_norm_(parameters, threshold, total_norm)

    def state_dict(self) -> dict[str, Any]:
        return {"history": list(self.history)}

    def load_state_dict(self, state_dict: dict[str, Any]):
        self.history = deque(state_dict["history"], maxlen=self.history.maxlen)
