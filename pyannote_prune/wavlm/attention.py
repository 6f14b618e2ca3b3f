"""Self-attention with gated relative position bias"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig
from .units import HEAD


class Attention(nn.Module):
    """Self-attention of the heads that are left

    Parameters
    ----------
    config : WavLMConfig
    heads : tuple of int
        Indices of these heads in the dense encoder, i.e. of their columns of the position bias and
        of their slices of the input.
    units : collection of str
        Units that have gates.
    """

    heads: Tensor

    def __init__(self, config: WavLMConfig, heads: tuple[int, ...], units: Collection[str]) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.dropout = config.attention_dropout
        self.register_buffer("heads", torch.tensor(heads), persistent=False)

        inner_dim = len(heads) * self.head_dim
        self.query = nn.Linear(config.embed_dim, inner_dim)
        self.key = nn.Linear(config.embed_dim, inner_dim)
        self.value = nn.Linear(config.embed_dim, inner_dim)
        self.output = nn.Linear(inner_dim, config.embed_dim)

        self.gate_linear = nn.Linear(self.head_dim, 8)
        self.gate_constant = nn.Parameter(torch.ones(config.num_heads))
        self.gate = HEAD.gates(len(heads), units)

    def forward(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        """

        Parameters
        ----------
        hidden : (batch_size, num_frames, embed_dim) torch.Tensor
        position_bias : (num_heads, num_frames, num_frames) torch.Tensor
            For all heads of the dense encoder.
        """
        query, key, value = (
            linear(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        # (batch_size, num_kept, num_frames, head_dim)

        bias = self.position_gate(hidden) * position_bias[self.heads]
        # (batch_size, num_kept, num_frames, num_frames)

        context = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        # (batch_size, num_kept, num_frames, head_dim)

        if self.gate is None:
            return self.output(context.transpose(1, 2).flatten(-2))
        gates = self.gate()
        context = context * gates[:, None, None]
        # without any head, the block outputs 0: its bias is removed as well
        return self.output(context.transpose(1, 2).flatten(-2)) * gates.any()

    def position_gate(self, hidden: Tensor) -> Tensor:
        """Factor of the position bias, for each query frame of each head

        Returns
        -------
        gate : (batch_size, num_kept, num_frames, 1) torch.Tensor

        References
        ----------
        Chen et al. (see `WavLMConfig`), gated relative position bias of section III.A.
        """
        slices = hidden.unflatten(-1, (-1, self.head_dim))[:, :, self.heads]
        # (batch_size, num_frames, num_kept, head_dim)

        if type(self.gate_linear) is nn.Linear:
            projected = F.linear(slices, *self.summed_gate())
        else:
            # wrapped, or quantized: it has its own forward pass
            projected = self.gate_linear(slices).unflatten(-1, (2, 4)).sum(-1)
        update, reset = projected.sigmoid().unbind(-1)
        gate = update * (reset * self.gate_constant[self.heads] - 1.0) + 2.0
        return gate.transpose(1, 2)[..., None]

    def summed_gate(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the position gate

        Each of its two parts is the sum of four projections, i.e. the projection on the sum.

        Returns
        -------
        weight : (2, head_dim) torch.Tensor
        bias : (2,) torch.Tensor
        """
        weight, bias = self.gate_linear.weight, self.gate_linear.bias
        return weight.unflatten(0, (2, 4)).sum(1), bias.unflatten(0, (2, 4)).sum(1)
