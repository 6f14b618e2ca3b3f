"""Transformer layer"""

from __future__ import annotations

from collections.abc import Collection

import torch.nn as nn
from torch import Tensor

from .attention import Attention
from .config import LayerConfig, WavLMConfig
from .feed_forward import FeedForward
from .gates import HardConcrete
from .units import ATTENTION, FEED_FORWARD


class TransformerLayer(nn.Module):
    """Attention and feed-forward blocks, either of which may have been removed

    In place of a removed block, a post-norm layer still normalizes; a pre-norm layer does not.
    """

    def __init__(self, config: WavLMConfig, shape: LayerConfig, units: Collection[str]) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.attention = self.feed_forward = None
        self.attention_gate = self.feed_forward_gate = None
        if shape.heads:
            self.attention = Attention(config, shape.heads, units)
            self.attention_gate = ATTENTION.gates(1, units)
        if shape.neurons:
            self.feed_forward = FeedForward(config, shape.neurons, units)
            self.feed_forward_gate = FEED_FORWARD.gates(1, units)
        self.attention_norm = nn.LayerNorm(config.embed_dim)
        self.feed_forward_norm = nn.LayerNorm(config.embed_dim)
        self.dropout = nn.Dropout(config.dropout)

        # parameters that the output does not depend on are not trained
        if self.norm_first:
            self.attention_norm.requires_grad_(self.attention is not None)
            self.feed_forward_norm.requires_grad_(self.feed_forward is not None)

    def forward(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        return (
            self._pre_norm(hidden, position_bias)
            if self.norm_first
            else self._post_norm(hidden, position_bias)
        )

    def _pre_norm(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        if self.attention is not None:
            block = self.attention(self.attention_norm(hidden), position_bias)
            hidden = hidden + self._gated(block, self.attention_gate)
        if self.feed_forward is not None:
            block = self.feed_forward(self.feed_forward_norm(hidden))
            hidden = hidden + self._gated(block, self.feed_forward_gate)
        return hidden

    def _post_norm(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        if self.attention is not None:
            block = self.attention(hidden, position_bias)
            hidden = hidden + self._gated(block, self.attention_gate)
        hidden = self.attention_norm(hidden)
        if self.feed_forward is not None:
            block = self.feed_forward(hidden)
            hidden = hidden + self._gated(block, self.feed_forward_gate)
        return self.feed_forward_norm(hidden)

    def _gated(self, block: Tensor, gate: HardConcrete | None) -> Tensor:
        return self.dropout(block if gate is None else block * gate())
