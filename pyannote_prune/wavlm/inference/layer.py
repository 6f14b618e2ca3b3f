"""Transformer layer at inference"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import Attention
from ..feed_forward import FeedForward
from ..layer import TransformerLayer
from .linear import FrozenLinear

# number of values between two frames is a multiple of it: attention on GPU refuses queries that do
# not start at multiples of 16 bytes
ALIGNMENT = 8


class FrozenLayer:
    """Transformer layer without gates, in as few matrix products as possible

    Parameters
    ----------
    layer : TransformerLayer
    dtype : torch.dtype
        Type of matrix products. Normalizations and residual connections keep the type of hidden
        states.
    """

    def __init__(self, layer: TransformerLayer, dtype: torch.dtype) -> None:
        self.norm_first = layer.norm_first
        self.attention = layer.attention and FrozenAttention(layer.attention, dtype)
        self.feed_forward = layer.feed_forward and FrozenFeedForward(layer.feed_forward, dtype)
        self.blocks = (
            (self.attention, layer.attention_norm.forward),
            (self.feed_forward, layer.feed_forward_norm.forward),
        )

    def __call__(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        """

        Parameters
        ----------
        hidden : (batch_size, num_frames, embed_dim) torch.Tensor
        position_bias : (num_heads, num_frames, num_frames) torch.Tensor
            For all heads of the dense encoder.
        """
        for block, norm in self.blocks:
            if self.norm_first:
                if block is not None:
                    hidden = hidden + block(norm(hidden), position_bias)
            else:
                if block is not None:
                    hidden = hidden + block(hidden, position_bias)
                hidden = norm(hidden)
        return hidden


class FrozenAttention:
    """Self-attention, with projections and position gate in one matrix product"""

    def __init__(self, attention: Attention, dtype: torch.dtype) -> None:
        self.head_dim = attention.head_dim
        self.heads = attention.heads.tolist()
        self.constant = attention.gate_constant.detach()[attention.heads]
        projections = (attention.query, attention.key, attention.value)
        weights = [projection.weight.detach() for projection in projections]
        biases = [projection.bias.detach() for projection in projections]
        gate_weight, gate_bias = self._position_gate(attention)
        weight, bias = torch.cat([*weights, gate_weight]), torch.cat([*biases, gate_bias])
        padding = -len(bias) % ALIGNMENT
        weight, bias = F.pad(weight, (0, 0, 0, padding)), F.pad(bias, (0, padding))
        self.input = FrozenLinear(weight, bias, dtype)
        self.output = FrozenLinear.from_module(attention.output, dtype)

    def _position_gate(self, attention: Attention) -> tuple[Tensor, Tensor]:
        """Weight and bias of position gates for complete frames, 0 out of the slice of each head

        Returns
        -------
        weight : (2 * num_kept, embed_dim) torch.Tensor
        bias : (2 * num_kept,) torch.Tensor
        """
        weight, bias = (tensor.detach() for tensor in attention.summed_gate())
        padded = weight.new_zeros(2, len(self.heads), attention.query.in_features)
        for index, head in enumerate(self.heads):
            padded[:, index, head * self.head_dim : (head + 1) * self.head_dim] = weight
        return padded.flatten(0, 1), bias.repeat_interleave(len(self.heads))

    def __call__(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        num_kept = len(self.heads)
        mixed = self.input(hidden)
        *projections, gates = mixed.tensor_split(
            [num_kept * self.head_dim * i for i in (1, 2, 3)], dim=-1
        )
        query, key, value = (
            part.unflatten(-1, (num_kept, self.head_dim)).transpose(1, 2) for part in projections
        )
        # (batch_size, num_kept, num_frames, head_dim)

        gates = gates[..., : 2 * num_kept]
        update, reset = gates.to(self.constant.dtype).sigmoid_().chunk(2, dim=-1)
        gates = (update * (reset * self.constant - 1.0) + 2.0).to(mixed.dtype)
        # (batch_size, num_frames, num_kept)

        mask = gates.transpose(1, 2)[..., None] * position_bias[self.heads]
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.output(context.transpose(1, 2).flatten(-2))


class FrozenFeedForward:
    """Feed-forward block"""

    def __init__(self, feed_forward: FeedForward, dtype: torch.dtype) -> None:
        self.input = FrozenLinear.from_module(feed_forward.input, dtype)
        self.output = FrozenLinear.from_module(feed_forward.output, dtype)

    def __call__(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        return self.output(F.gelu(self.input(hidden)))
