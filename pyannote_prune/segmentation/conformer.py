"""Conformer with gates, or with what pruning left of its layers

Layers of torchaudio have as many channels as inputs, and attention heads that share the inputs
among them. Here are layers of any size, whose weights have the names of torchaudio's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..files.schema import refuse, rule, section
from ..wavlm.module_list import module_list
from .units import CONFORMER_CHANNEL, CONFORMER_HEAD, CONFORMER_NEURON

# key of the sizes of layers, beside arguments of `torchaudio.models.Conformer`
LAYERS = "layers"


@dataclass(frozen=True)
class ConformerLayerConfig:
    """Sizes of a Conformer layer: a block of size 0 is gone, its residual connection stays

    Parameters
    ----------
    first_neurons, second_neurons : int
        Numbers of neurons of the two feed-forward blocks.
    heads : int
        Number of attention heads.
    channels : int
        Number of channels of the convolution module.
    """

    first_neurons: int = rule(minimum=0)
    heads: int = rule(minimum=0)
    channels: int = rule(minimum=0)
    second_neurons: int = rule(minimum=0)


def dense_layer(options: Mapping[str, Any]) -> ConformerLayerConfig:
    """Sizes of the layers that torchaudio makes from the arguments of its Conformer"""
    neurons = options["ffn_dim"]
    return ConformerLayerConfig(neurons, options["num_heads"], options["input_dim"], neurons)


def layer_configs(options: Mapping[str, Any]) -> tuple[ConformerLayerConfig, ...]:
    """Sizes of all layers of a Conformer

    Parameters
    ----------
    options : dict
        Arguments of `torchaudio.models.Conformer`, and (once it is pruned) "layers": a list of
        dictionaries, see `ConformerLayerConfig`.

    Raises
    ------
    ValueError
        If "layers" is not such a list, or has another number of layers than `num_layers`.
    """
    if LAYERS not in options:
        return (dense_layer(options),) * options["num_layers"]
    plain, key = options[LAYERS], f"conformer.{LAYERS}"
    if not isinstance(plain, list | tuple) or len(plain) != options["num_layers"]:
        refuse(key, f"a list of {options['num_layers']} dictionaries, as `num_layers` says", plain)
    return tuple(
        section(ConformerLayerConfig, layer, f"{key}[{i}]") for i, layer in enumerate(plain)
    )


def with_layers(
    options: Mapping[str, Any], layers: Collection[ConformerLayerConfig]
) -> dict[str, Any]:
    """Arguments of a Conformer, with other sizes of its layers

    Without "layers" where torchaudio makes layers of these sizes.
    """
    plain = {key: value for key, value in options.items() if key != LAYERS}
    if set(layers) == {dense_layer(options)}:
        return plain
    return plain | {LAYERS: [asdict(layer) for layer in layers]}


class PrunableConformer(nn.Module):
    """Conformer with gates, or pruned

    Parameters
    ----------
    options : dict
        See `layer_configs`.
    units : tuple of str, optional
        Units that have gates: "conformer_neuron" (of feed-forward blocks), "conformer_head" (of
        attention), "conformer_channel" (of convolution modules). Defaults to none.

    Raises
    ------
    ValueError
        If a size is impossible.
    """

    def __init__(self, options: Mapping[str, Any], units: Collection[str] = ()) -> None:
        super().__init__()
        dim, num_heads = options["input_dim"], options["num_heads"]
        if num_heads < 1 or dim % num_heads:
            refuse("conformer.input_dim", f"a multiple of `num_heads` ({num_heads})", dim)
        if options["depthwise_conv_kernel_size"] % 2 == 0:
            found = options["depthwise_conv_kernel_size"]
            refuse("conformer.depthwise_conv_kernel_size", "odd", found)
        self.options, self.units = dict(options), tuple(units)
        self.layers = layer_configs(options)
        self.conformer_layers = module_list(
            ConformerLayer(options, layer, units) for layer in self.layers
        )


class ConformerLayer(nn.Module):
    """Conformer layer, whose blocks may have gates, or be gone

    Called as those of torchaudio are: with (num_frames, batch_size, input_dim) inputs.
    """

    def __init__(
        self, options: Mapping[str, Any], layer: ConformerLayerConfig, units: Collection[str]
    ) -> None:
        super().__init__()
        dim, dropout = options["input_dim"], options["dropout"]
        self.convolution_first = options.get("convolution_first", False)
        self.ffn1 = self.self_attn = self.conv_module = self.ffn2 = None
        if layer.first_neurons:
            self.ffn1 = FeedForward(dim, layer.first_neurons, dropout, units)
        if layer.heads:
            self.self_attn_layer_norm = nn.LayerNorm(dim)
            head_dim = dim // options["num_heads"]
            self.self_attn = SelfAttention(dim, layer.heads, head_dim, dropout, units)
            self.self_attn_dropout = nn.Dropout(dropout)
        if layer.channels:
            self.conv_module = ConvolutionModule(options, layer.channels, units)
        if layer.second_neurons:
            self.ffn2 = FeedForward(dim, layer.second_neurons, dropout, units)
        self.final_layer_norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor, key_padding_mask: None = None) -> Tensor:
        if self.ffn1 is not None:
            hidden = hidden + 0.5 * self.ffn1(hidden)
        if self.convolution_first:
            hidden = self._attend(self._convolve(hidden))
        else:
            hidden = self._convolve(self._attend(hidden))
        if self.ffn2 is not None:
            hidden = hidden + 0.5 * self.ffn2(hidden)
        return self.final_layer_norm(hidden)

    def _attend(self, hidden: Tensor) -> Tensor:
        if self.self_attn is None:
            return hidden
        attended, _ = self.self_attn(self.self_attn_layer_norm(hidden))
        return hidden + self.self_attn_dropout(attended)

    def _convolve(self, hidden: Tensor) -> Tensor:
        if self.conv_module is None:
            return hidden
        return hidden + self.conv_module(hidden.transpose(0, 1)).transpose(0, 1)


class FeedForward(nn.Module):
    """Feed-forward block of a Conformer, with optional gates on its neurons"""

    def __init__(self, dim: int, neurons: int, dropout: float, units: Collection[str]) -> None:
        super().__init__()
        self.sequential = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, neurons),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(neurons, dim),
            nn.Dropout(dropout),
        )
        self.gate = CONFORMER_NEURON.gates(neurons, units)

    def forward(self, hidden: Tensor) -> Tensor:
        if self.gate is None:
            return self.sequential(hidden)
        gates = self.gate()
        neurons = self.sequential[:4](hidden) * gates
        # without any neuron, the block outputs 0: its bias is removed as well
        return self.sequential[4:](neurons) * gates.any()


class SelfAttention(nn.Module):
    """Self-attention of the heads that are left, with the weights of `nn.MultiheadAttention`

    That module (2.11) needs heads whose dimensions add up to that of its inputs.
    """

    def __init__(
        self, dim: int, num_heads: int, head_dim: int, dropout: float, units: Collection[str]
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.dropout = num_heads, head_dim, dropout
        inner_dim = num_heads * head_dim
        self.in_proj_weight = nn.Parameter(torch.empty(3 * inner_dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * inner_dim))
        self.out_proj = nn.Linear(inner_dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)
        self.gate = CONFORMER_HEAD.gates(num_heads, units)

    def forward(self, hidden: Tensor) -> tuple[Tensor, None]:
        """

        Parameters
        ----------
        hidden : (num_frames, batch_size, dim) torch.Tensor

        Returns
        -------
        outputs : (num_frames, batch_size, dim) torch.Tensor
        attention : None
            As those of `nn.MultiheadAttention`, which are left out with `need_weights=False`.
        """
        projected = F.linear(hidden, self.in_proj_weight, self.in_proj_bias)
        query, key, value = projected.unflatten(-1, (3, self.num_heads, -1)).permute(2, 1, 3, 0, 4)
        # (batch_size, num_heads, num_frames, head_dim)

        context = F.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        if self.gate is None:
            return self.out_proj(context.permute(2, 0, 1, 3).flatten(-2)), None
        gates = self.gate()
        context = context * gates[:, None, None]
        # without any head, the block outputs 0: its bias is removed as well
        return self.out_proj(context.permute(2, 0, 1, 3).flatten(-2)) * gates.any(), None


class ConvolutionModule(nn.Module):
    """Convolution module of a Conformer, with optional gates on its channels

    Gates come after the normalization and the activation of channels: on the inputs of the last
    convolution, which has no kernel.
    """

    def __init__(self, options: Mapping[str, Any], channels: int, units: Collection[str]) -> None:
        super().__init__()
        dim, kernel = options["input_dim"], options["depthwise_conv_kernel_size"]
        self.layer_norm = nn.LayerNorm(dim)
        self.sequential = nn.Sequential(
            nn.Conv1d(dim, 2 * channels, 1),
            nn.GLU(dim=1),
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels),
            nn.GroupNorm(1, channels)
            if options.get("use_group_norm", False)
            else nn.BatchNorm1d(channels),
            nn.SiLU(),
            nn.Conv1d(channels, dim, 1),
            nn.Dropout(options["dropout"]),
        )
        self.gate = CONFORMER_CHANNEL.gates(channels, units)

    def forward(self, hidden: Tensor) -> Tensor:
        """

        Parameters
        ----------
        hidden : (batch_size, num_frames, dim) torch.Tensor
        """
        hidden = self.layer_norm(hidden).transpose(1, 2)
        if self.gate is None:
            return self.sequential(hidden).transpose(1, 2)
        gates = self.gate()
        channels = self.sequential[:5](hidden) * gates[:, None]
        # without any channel, the block outputs 0: its bias is removed as well
        return (self.sequential[5:](channels) * gates.any()).transpose(1, 2)
