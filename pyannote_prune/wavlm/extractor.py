"""From waveforms to features, and from features to the input of the Transformer"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig


class ChannelNorm(nn.LayerNorm):
    """Normalization of each frame over channels"""

    def forward(self, features: Tensor) -> Tensor:
        # features: (batch_size, num_channels, num_frames)
        return super().forward(features.transpose(1, 2)).transpose(1, 2)


class Convolution(nn.Module):
    """Convolution, normalization (not always), GELU"""

    def __init__(self, config: WavLMConfig, index: int):
        super().__init__()
        shape = config.convolutions[index]
        num_inputs = config.convolutions[index - 1].channels if index > 0 else 1
        self.conv = nn.Conv1d(
            num_inputs, shape.channels, shape.kernel, shape.stride, bias=config.conv_bias
        )
        nn.init.kaiming_normal_(self.conv.weight)

        if config.conv_norm == "layer":
            self.norm = ChannelNorm(shape.channels)
        elif index == 0:
            self.norm = nn.GroupNorm(shape.channels, shape.channels)
        else:
            self.norm = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return F.gelu(self.norm(self.conv(features)))


class FeatureExtractor(nn.Module):
    """Stack of convolutions, 50 frames per second

    `scale` is one factor per channel of the last convolution. It is not trained: it carries the
    soft values that pruning gives to channels that are left, which cannot be folded into the next
    weights because a normalization stands in between.
    """

    def __init__(self, config: WavLMConfig):
        super().__init__()
        self.convolutions = nn.ModuleList(
            Convolution(config, index) for index in range(len(config.convolutions))
        )
        num_channels = config.convolutions[-1].channels
        self.scale = nn.Parameter(torch.ones(num_channels), requires_grad=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        # waveforms: (batch_size, num_samples)
        features = waveforms[:, None]
        for convolution in self.convolutions:
            features = convolution(features)
            # features: (batch_size, num_channels, num_frames)
        return features.transpose(1, 2) * self.scale
        # (batch_size, num_frames, num_channels)


class FeatureProjection(nn.Module):
    """Normalization, then projection to the dimension of the Transformer"""

    def __init__(self, config: WavLMConfig):
        super().__init__()
        num_channels = config.convolutions[-1].channels
        self.norm = nn.LayerNorm(num_channels)
        self.linear = nn.Linear(num_channels, config.embed_dim)
        self.dropout = nn.Dropout(config.projection_dropout)

    def forward(self, features: Tensor) -> Tensor:
        return self.dropout(self.linear(self.norm(features)))
