"""Positional convolution and relative position bias"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig


class WeightNorm(nn.Module):
    """Weight of a convolution as magnitudes, one for each position in the kernel, and directions

    Parameters have the names of torch's `weight_norm`, whose modules cannot be pickled.

    References
    ----------
    Salimans and Kingma, "Weight Normalization: A Simple Reparameterization to Accelerate Training
    of Deep Neural Networks", NeurIPS 2016.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        # (1, 1, kernel), then (num_outputs, num_inputs, kernel)
        self.original0 = nn.Parameter(torch.norm_except_dim(weight, 2, dim=2))
        self.original1 = nn.Parameter(weight)

    def forward(self) -> Tensor:
        # as torch computes it, to the last bit: trainings that 0.1.0 began can be resumed exactly
        return torch._weight_norm(self.original1, self.original0, 2)


class NormalizedConvolution(nn.Module):
    """Convolution of a sequence with a normalized weight, in the precision of autocast

    On CPU, groups of fewer than 16 channels are always in single precision: with the matrix units
    of recent x86 processors (AMX) and kernels of 8 frames or more, oneDNN computes wrong values in
    bfloat16 (torch 2.14.1).
    """

    def __init__(self, channels: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.padding, self.groups = kernel, kernel // 2, groups
        self.channels_per_group = channels // groups
        # draws as many random numbers as 0.1.0, so that a seed gives the same initial weights
        conv = nn.Conv1d(channels, channels, kernel, groups=groups)
        # as in wav2vec 2.0 (Baevski et al., 2020)
        nn.init.normal_(conv.weight, std=math.sqrt(4 / (kernel * channels)))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.parametrizations = nn.ModuleDict({"weight": WeightNorm(conv.weight.detach())})

    @property
    def weight(self) -> Tensor:
        return self.parametrizations["weight"]()

    def forward(self, features: Tensor) -> Tensor:
        if features.device.type != "cpu" or self.channels_per_group >= 16:
            return self._convolve(features, self.weight, self.bias)
        with torch.autocast("cpu", enabled=False):
            dtype = torch.promote_types(self.bias.dtype, torch.float32)
            operands = (tensor.to(dtype) for tensor in (features, self.weight, self.bias))
            return self._convolve(*operands).to(features.dtype)

    def _convolve(self, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv1d(features, weight, bias, padding=self.padding, groups=self.groups)


class PositionalConvolution(nn.Module):
    """Convolutional position embedding, to be added to its input"""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.conv = NormalizedConvolution(
            config.embed_dim, config.position_kernel, config.position_groups
        )

    def forward(self, hidden: Tensor) -> Tensor:
        num_frames = hidden.shape[1]
        # an even kernel gives one frame too many, at the end
        position = self.conv(hidden.transpose(1, 2))[..., :num_frames]
        return F.gelu(position).transpose(1, 2)


class RelativePositionBias(nn.Module):
    """Bias of each attention head for the distance between query and key

    It depends on the number of frames alone. It belongs to the encoder rather than to its first
    layer, so that other layers still have it when the attention of that layer is pruned.
    """

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.max_distance = config.max_distance
        self.embedding = nn.Embedding(config.num_buckets, config.num_heads)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, num_frames: int) -> Tensor:
        """

        Returns
        -------
        bias : (num_heads, num_frames, num_frames) torch.Tensor
            For all heads of the dense encoder; queries, then keys.
        """
        distances = torch.arange(1 - num_frames, num_frames)
        buckets = bucket(distances, self.embedding.num_embeddings, self.max_distance)
        bias = self.embedding(buckets.to(self.embedding.weight.device)).T
        # bias: (num_heads, 2 * num_frames - 1), from the farthest key on the left to the right

        # query i has keys at distances -i to num_frames - 1 - i
        return bias.unfold(1, num_frames, 1).flip(1)


def bucket(distances: Tensor, num_buckets: int, max_distance: int) -> Tensor:
    """Group distances, in frames, into buckets

    Half of the buckets are for keys after the query. In each half, the first half is for exact
    distances, the second one for logarithmic ranges up to `max_distance`.

    References
    ----------
    Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer", JMLR 2020 (section 2.1).
    """
    num_buckets //= 2
    num_exact = num_buckets // 2
    after = (distances > 0).long() * num_buckets
    distances = distances.abs()

    # in float32 and in this order: other roundings move distances that sit on a boundary
    ratio = torch.log(distances.float() / num_exact) / math.log(max_distance / num_exact)
    logarithmic = (num_exact + ratio * (num_buckets - num_exact)).long().clamp(max=num_buckets - 1)
    return after + torch.where(distances < num_exact, distances, logarithmic)
