"""Segmentation model as a function that `torch.export` makes a graph of

The forward pass of the model checks its input, and computes some weights once at inference. Here is
another one, for any batch size and any length. It calls the modules of the model
but for those that cannot be exported, or whose weights can be combined once.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..segmentation.conformer import SelfAttention as PrunedSelfAttention
from ..segmentation.head import run_conformer
from ..segmentation.model import WavLMSegmentation
from ..wavlm.attention import Attention
from ..wavlm.encoder import WavLM
from ..wavlm.inference import is_plain
from ..wavlm.position import NormalizedConvolution, RelativePositionBias, bucket

Part = TypeVar("Part", bound=nn.Module)


class Network(nn.Module):
    """Segmentation model, in evaluation mode

    Parameters
    ----------
    model : WavLMSegmentation
        Without gates. Its modules are copied, in single precision.

    Shape
    -----
    waveforms : (batch_size, 1, num_samples) torch.Tensor
    scores : (batch_size, num_frames, num_classes) torch.Tensor
    """

    def __init__(self, model: WavLMSegmentation) -> None:
        super().__init__()
        self.head, self.encoder = model.head, Encoder(_copy(model.wavlm))
        weights = model.layer_weights
        self.layer_weights = None if weights is None else weights.detach().float().cpu()
        if self.head.projection:
            self.projection, self.norm = _copy(model.projection), _copy(model.norm)
        if self.head.lstm is None:
            self.conformer = _copy(model.conformer)
            for layer in self.conformer.conformer_layers:
                if layer.self_attn is not None:
                    layer.self_attn = SelfAttention(layer.self_attn)
        else:
            layers = range(self.head.lstm.num_layers)
            self.lstm = nn.Sequential(*(LSTMLayer(_copy(model.lstm), i) for i in layers))
        self.linear = _copy(model.linear) if self.head.linear.num_layers else ()
        self.classifier, self.activation = _copy(model.classifier), _copy(model.activation)
        use_products(self)
        self.eval()

    def forward(self, waveforms: Tensor) -> Tensor:
        outputs = self.head.mix(self.encoder(waveforms[:, 0]), self.layer_weights)
        if self.head.projection:
            outputs = self.norm(self.projection(outputs))
        if self.head.lstm is None:
            outputs = run_conformer(self.conformer, outputs)
        else:
            outputs = self.lstm(outputs)
        for linear in self.linear:
            outputs = F.leaky_relu(linear(outputs))
        return self.activation(self.classifier(outputs))


def _copy(part: Part) -> Part:
    return copy.deepcopy(part).float().cpu().requires_grad_(False)


class Encoder(nn.Module):
    """WavLM, from waveforms to hidden states: the modules of a copy, which is changed"""

    def __init__(self, wavlm: WavLM) -> None:
        super().__init__()
        if not is_plain(wavlm.eval()):
            raise ValueError(
                "`model.wavlm` must have the layers that it was made with, found others (wrapped, "
                "quantized, or with hooks): merge adapters into their layers first."
            )
        self.normalize_waveform = wavlm.config.normalize_waveform
        self.extractor, self.projection = wavlm.extractor, wavlm.projection
        first = self.extractor.convolutions[0]
        if isinstance(first.norm, nn.GroupNorm):
            # removed with the mean of each channel: in silence, nothing would be left but rounding
            first.conv.bias = None
        self.position = Position(wavlm.position.conv)
        self.norm = nn.Identity() if wavlm.config.norm_first else wavlm.norm
        self.position_bias = PositionBias(wavlm.position_bias)
        self.layers = wavlm.layers
        for layer in self.layers:
            if layer.attention is not None:
                layer.attention = GatedAttention(layer.attention)  # type: ignore[assignment]

    def forward(self, waveforms: Tensor) -> list[Tensor]:
        if self.normalize_waveform:
            # `layer_norm` needs to know the number of samples
            waveforms = waveforms - waveforms.mean(-1, keepdim=True)
            variance = waveforms.square().mean(-1, keepdim=True)
            waveforms = waveforms * torch.rsqrt(variance + 1e-5)
        features, _ = self.extractor(waveforms)
        hidden = self.projection(features)
        # (batch_size, num_frames, embed_dim)

        states = [self.norm(hidden + self.position(hidden))]
        bias = self.position_bias(hidden.shape[1])
        for layer in self.layers:
            states.append(layer(states[-1], bias))
        return states


class LastState(nn.Module):
    """Last hidden state of an encoder, whose modules are copied

    Shape
    -----
    waveforms : (batch_size, 1, num_samples) torch.Tensor
    hidden : (batch_size, num_frames, embed_dim) torch.Tensor
    """

    def __init__(self, wavlm: WavLM) -> None:
        super().__init__()
        self.encoder = Encoder(_copy(wavlm))
        use_products(self)
        self.eval()

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.encoder(waveforms[:, 0])[-1]


class Position(nn.Module):
    """Convolutional position embedding, whose normalized weight is computed once

    Groups of fewer than 16 channels are merged: OpenVINO (2026.4) computes them wrong in bfloat16,
    with oneDNN (see `NormalizedConvolution`).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: NormalizedConvolution) -> None:
        super().__init__()
        self.kernel, self.padding = conv.kernel, conv.padding
        weight, self.groups = merge_groups(conv.weight, conv.groups, min_channels=16)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", conv.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inputs = hidden.transpose(1, 2)
        outputs = F.conv1d(inputs, self.weight, self.bias, 1, self.padding, 1, self.groups)
        if self.kernel % 2 == 0:  # one frame too many
            outputs = outputs[..., :-1]
        return F.gelu(outputs).transpose(1, 2)


def merge_groups(weight: Tensor, groups: int, min_channels: int) -> tuple[Tensor, int]:
    """Merge groups of a convolution until they have enough channels, or until one is left

    Weights between channels that belonged to different groups are zero.

    Parameters
    ----------
    weight : (num_outputs, num_inputs // groups, kernel) torch.Tensor
    groups : int
    min_channels : int
        Number of input channels that each group must have.

    Returns
    -------
    weight : (num_outputs, num_inputs // fewer_groups, kernel) torch.Tensor
    fewer_groups : int
    """
    num_outputs, num_inputs, kernel = weight.shape
    if num_inputs >= min_channels:
        return weight, groups
    enough = (n for n in range(1, groups) if groups % n == 0 and n * num_inputs >= min_channels)
    merged = next(enough, groups)
    wide = weight.new_zeros(
        groups // merged, merged, num_outputs // groups, merged, num_inputs, kernel
    )
    narrow = weight.view(groups // merged, merged, num_outputs // groups, num_inputs, kernel)
    for index in range(merged):
        wide[:, index, :, index] = narrow[:, index]
    return wide.view(num_outputs, merged * num_inputs, kernel), groups // merged


class PositionBias(nn.Module):
    """Relative position bias, from a table of distances: the farthest ones share a bucket

    Buckets are not computed in the graph: another rounding of logarithms would change some.
    """

    table: Tensor

    def __init__(self, position_bias: RelativePositionBias) -> None:
        super().__init__()
        self.farthest = position_bias.max_distance
        distances = torch.arange(-self.farthest, self.farthest + 1)
        weight = position_bias.embedding.weight
        self.register_buffer("table", weight[bucket(distances, len(weight), self.farthest)].T)
        # (num_heads, 2 * farthest + 1)

    def forward(self, num_frames: int) -> Tensor:
        frames = torch.arange(num_frames)
        distances = (frames - frames[:, None]).clamp(-self.farthest, self.farthest)
        bias = self.table.index_select(1, (distances + self.farthest).flatten())
        return bias.unflatten(1, distances.shape)
        # (num_heads, num_frames, num_frames)


class GatedAttention(nn.Module):
    """Self-attention of WavLM, with projections and position gates in one product"""

    constant: Tensor
    heads: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        heads, dim = attention.heads.tolist(), attention.head_dim
        self.num_heads, self.inner_dim = len(heads), len(heads) * dim
        query, key, value = attention.query, attention.key, attention.value
        gate_weight, gate_bias = attention.summed_gate()
        # the gate of a head reads its slice of the input
        gates = gate_weight.new_zeros(2, len(heads), query.in_features)
        for index, head in enumerate(heads):
            gates[:, index, head * dim : (head + 1) * dim] = gate_weight
        weight = [dim**-0.5 * query.weight, key.weight, value.weight, gates.flatten(0, 1)]
        bias = [
            dim**-0.5 * query.bias,
            key.bias,
            value.bias,
            gate_bias.repeat_interleave(len(heads)),
        ]
        self.input = Product(torch.cat(weight), torch.cat(bias))
        self.output = attention.output
        self.register_buffer("constant", attention.gate_constant[attention.heads])
        self.register_buffer("heads", attention.heads)

    def forward(self, hidden: Tensor, position_bias: Tensor) -> Tensor:
        sizes = [self.inner_dim] * 3 + [self.num_heads] * 2
        query, key, value, update, reset = self.input(hidden).split(sizes, dim=-1)
        gates = update.sigmoid() * (reset.sigmoid() * self.constant - 1.0) + 2.0
        bias = gates.transpose(1, 2)[..., None] * position_bias.index_select(0, self.heads)
        return self.output(attend(query, key, value, self.num_heads, bias))


class SelfAttention(nn.Module):
    """Self-attention of the Conformer, whose inputs are (num_frames, batch_size, dim)"""

    def __init__(self, attention: nn.MultiheadAttention | PrunedSelfAttention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        scale = torch.ones(3, attention.num_heads * attention.head_dim)
        scale[0] = attention.head_dim**-0.5
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        self.input = Product(scale.view(-1, 1) * weight, scale.flatten() * bias)
        self.output = attention.out_proj

    def forward(self, query: Tensor, **others: Any) -> tuple[Tensor, None]:
        query, key, value = self.input(query.transpose(0, 1)).chunk(3, dim=-1)
        return self.output(attend(query, key, value, self.num_heads)).transpose(0, 1), None


def attend(
    query: Tensor, key: Tensor, value: Tensor, num_heads: int, bias: Tensor | None = None
) -> Tensor:
    """Attention of (batch_size, num_frames, num_heads * head_dim) queries, which are scaled already

    `bias`, (batch_size, num_heads, num_frames, num_frames), is added to scores.
    """
    query, key, value = (
        part.unflatten(-1, (num_heads, -1)).transpose(1, 2) for part in (query, key, value)
    )
    scores = query @ key.transpose(2, 3)
    scores = scores if bias is None else scores + bias
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(-2)


class LSTMLayer(nn.Module):
    """Layer of an LSTM, as the operator of ONNX

    `torch.export` unrolls LSTMs, for one number of frames.
    """

    weight: Tensor
    recurrent: Tensor
    bias: Tensor

    def __init__(self, lstm: nn.LSTM, index: int) -> None:
        super().__init__()
        self.hidden_size, self.direction = lstm.hidden_size, "forward"
        suffixes = [f"l{index}"]
        if lstm.bidirectional:
            self.direction, suffixes = "bidirectional", [*suffixes, f"l{index}_reverse"]

        def stack(name: str) -> Tensor:
            tensors = [getattr(lstm, f"{name}_{suffix}").chunk(4) for suffix in suffixes]
            # input, forget, cell, output gates (PyTorch) to input, output, forget, cell (ONNX)
            return torch.stack([torch.cat([i, o, f, c]) for i, f, c, o in tensors])

        self.register_buffer("weight", stack("weight_ih"))
        self.register_buffer("recurrent", stack("weight_hh"))
        self.register_buffer("bias", torch.cat([stack("bias_ih"), stack("bias_hh")], dim=1))

    def forward(self, inputs: Tensor) -> Tensor:
        batch_size, num_frames, _ = inputs.shape
        outputs = torch.onnx.ops.symbolic(
            "LSTM",
            (inputs.transpose(0, 1), self.weight, self.recurrent, self.bias),
            {"hidden_size": self.hidden_size, "direction": self.direction},
            dtype=inputs.dtype,
            shape=(num_frames, len(self.bias), batch_size, self.hidden_size),
        )
        # (num_frames, num_directions, batch_size, hidden_size)
        return outputs.permute(2, 0, 1, 3).flatten(-2)


class Product(nn.Module):
    """Linear layer, whose weight is stored as (num_inputs, num_outputs): quantization needs that"""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.T.contiguous())
        self.register_buffer("bias", bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight + self.bias


def use_products(module: nn.Module) -> None:
    """Replace all linear layers of a module"""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, Product(child.weight, child.bias))
        else:
            use_products(child)
