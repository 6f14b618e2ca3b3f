"""Feature extractor, and projection to the input of the Transformer"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig
from .module_list import module_list
from .norm import OpenLayerNorm
from .units import CHANNEL


class ChannelNorm(OpenLayerNorm):
    """Normalization of each frame over (open) channels"""

    def forward(self, features: Tensor, gates: Tensor | None = None) -> Tensor:
        # features: (batch_size, num_channels, num_frames)
        return super().forward(features.transpose(1, 2), gates).transpose(1, 2)


class Convolution(nn.Module):
    """Convolution, normalization (optional), GELU, gates (optional)"""

    def __init__(self, config: WavLMConfig, index: int, units: Collection[str]) -> None:
        super().__init__()
        shape = config.convolutions[index]
        num_inputs = config.convolutions[index - 1].channels if index > 0 else 1
        self.conv = nn.Conv1d(
            num_inputs, shape.channels, shape.kernel, shape.stride, bias=config.conv_bias
        )
        nn.init.kaiming_normal_(self.conv.weight)

        self.norm: ChannelNorm | nn.GroupNorm | nn.Identity
        if config.conv_norm == "layer":
            self.norm = ChannelNorm(shape.channels)
        elif index == 0:
            self.norm = nn.GroupNorm(shape.channels, shape.channels)
        else:
            self.norm = nn.Identity()
        self.gate = CHANNEL.gates(shape.channels, units)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        gates = None if self.gate is None else self.gate()
        features = self.conv(features)
        if isinstance(self.norm, ChannelNorm):
            features = self.norm(features, gates)
        else:
            features = self.norm(features)
        features = F.gelu(features)
        return (features if gates is None else features * gates[:, None]), gates


class FeatureExtractor(nn.Module):
    """Stack of convolutions, 50 frames per second

    `scale` is one factor per channel of the last convolution. It is not trained: it carries the
    soft values that pruning gives to channels that are left, which cannot be folded into the next
    weights because a normalization stands in between.
    """

    def __init__(self, config: WavLMConfig, units: Collection[str]) -> None:
        super().__init__()
        self.convolutions = module_list(
            Convolution(config, index, units) for index in range(len(config.convolutions))
        )
        num_channels = config.convolutions[-1].channels
        self.scale = nn.Parameter(torch.ones(num_channels), requires_grad=False)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor | None]:
        """

        Parameters
        ----------
        waveforms : (batch_size, num_samples) torch.Tensor

        Returns
        -------
        features : (batch_size, num_frames, num_channels) torch.Tensor
        gates : (num_channels,) torch.Tensor or None
            Gates that these features went through.
        """
        features, gates = waveforms[:, None], None
        for convolution in self.convolutions:
            features, gates = convolution(features)
            # features: (batch_size, num_channels, num_frames)
        return features.transpose(1, 2) * self.scale, gates


class FeatureProjection(nn.Module):
    """Normalization, then projection to the dimension of the Transformer"""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        num_channels = config.convolutions[-1].channels
        self.norm = OpenLayerNorm(num_channels)
        self.linear = nn.Linear(num_channels, config.embed_dim)
        self.dropout = nn.Dropout(config.projection_dropout)

    def forward(self, features: Tensor, gates: Tensor | None = None) -> Tensor:
        return self.dropout(self.linear(self.norm(features, gates)))
