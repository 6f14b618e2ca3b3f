"""Normalization over open channels"""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor


class OpenLayerNorm(nn.LayerNorm):
    """LayerNorm over open channels

    Statistics are computed over open channels only, as LayerNorm does once closed channels are
    removed.
    """

    def forward(self, features: Tensor, gates: Tensor | None = None) -> Tensor:
        """

        Parameters
        ----------
        features : (..., num_channels) torch.Tensor
        gates : (num_channels,) torch.Tensor, optional
            A channel is closed if its gate is 0. Its output is then 0.
        """
        if gates is None:
            return super().forward(features)
        # as autocast does with LayerNorm
        features = features.to(self.weight.dtype)
        is_open = (gates > 0).to(features.dtype)
        num_open = is_open.sum().clamp(min=1)
        mean = (features * is_open).sum(-1, keepdim=True) / num_open
        centered = (features - mean) * is_open
        variance = centered.square().sum(-1, keepdim=True) / num_open
        normalized = centered * torch.rsqrt(variance + self.eps)
        return (normalized * self.weight + self.bias) * is_open
