"""Feature extractor at inference

On a CPU, each convolution is one matrix product. Features have one row per frame in memory: the
receptive field of an output frame is a range of consecutive rows, i.e. one row of a matrix whose
rows overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..config import WavLMConfig
from ..extractor import Convolution, FeatureExtractor, FeatureProjection
from ..geometry import receptive_field_size
from .linear import FrozenLinear

# matrix products are up to 1.5 times faster if numbers of columns are multiples of this number
ALIGNMENT = 16

# number of frames to compute at a time: the output of a convolution is then still in the cache of
# the processor when the next one reads it
NUM_FRAMES = 100


class FrozenExtractor:
    """Feature extractor without gates, two seconds at a time

    Parameters
    ----------
    extractor : FeatureExtractor
    config : WavLMConfig
        Structure of its encoder.
    dtype : torch.dtype
        Type of matrix products. The first convolution and normalizations keep the type of the
        extractor.
    """

    def __init__(
        self, extractor: FeatureExtractor, config: WavLMConfig, dtype: torch.dtype
    ) -> None:
        self.size = receptive_field_size(config.convolutions)
        self.hop = receptive_field_size(config.convolutions, 2) - self.size
        first, *others = extractor.convolutions
        self.first: NormalizedConvolution | FrozenConvolution
        if isinstance(first.norm, nn.GroupNorm):
            self.first = NormalizedConvolution(first.conv, first.norm)
        else:
            self.first = FrozenConvolution(first, 1, dtype)
        num_inputs, self.others = self.first.num_outputs, []
        for other in others:
            convolution = FrozenConvolution(other, num_inputs, dtype)
            num_inputs = convolution.num_outputs
            self.others.append(convolution)
        self.scale = extractor.scale.detach()

    def __call__(self, waveforms: Tensor) -> Tensor:
        """

        Parameters
        ----------
        waveforms : (batch_size, num_samples) torch.Tensor

        Returns
        -------
        features : (batch_size, num_frames, num_channels) torch.Tensor
        """
        batch_size, num_samples = waveforms.shape
        num_frames = (num_samples - self.size) // self.hop + 1
        features = waveforms.new_empty(batch_size, num_frames, len(self.scale))
        for waveform, rows in zip(waveforms, features, strict=True):
            first = self.first.fit(waveform)
            for start in range(0, num_frames, NUM_FRAMES):
                part = rows[start : start + NUM_FRAMES]
                num_samples = (len(part) - 1) * self.hop + self.size
                hidden = first(waveform[start * self.hop :][:num_samples, None])
                for convolution in self.others:
                    hidden = convolution(hidden)
                    # (num_frames, num_channels)
                torch.mul(hidden[:, : len(self.scale)], self.scale, out=part)
        return features


class FrozenConvolution:
    """Convolution, normalization over channels (optional), GELU

    Parameters
    ----------
    convolution : Convolution
    num_inputs : int
        Number of channels of features. Channels after the inputs of the convolution are 0.
    dtype : torch.dtype

    Attributes
    ----------
    num_outputs : int
        Number of channels of outputs, likewise.
    """

    def __init__(self, convolution: Convolution, num_inputs: int, dtype: torch.dtype) -> None:
        conv = convolution.conv
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        self.norm = convolution.norm if isinstance(convolution.norm, nn.LayerNorm) else None
        more = 0 if self.norm else -conv.out_channels % ALIGNMENT
        self.num_outputs = conv.out_channels + more

        weight = F.pad(conv.weight.detach(), (0, 0, 0, num_inputs - conv.in_channels, 0, more))
        bias = None if conv.bias is None else F.pad(conv.bias, (0, more))
        weight = weight.transpose(1, 2).flatten(1)
        # (num_outputs, kernel * num_inputs)
        self.linear = FrozenLinear(weight, bias, dtype, gelu=self.norm is None)

    def fit(self, waveform: Tensor) -> Callable[[Tensor], Tensor]:
        """Same convolution for all waveforms"""
        return self

    def __call__(self, features: Tensor) -> Tensor:
        """

        Parameters
        ----------
        features : (num_input_frames, num_inputs) torch.Tensor
            Contiguous.

        Returns
        -------
        features : (num_frames, num_outputs) torch.Tensor
        """
        features = features.to(self.linear.dtype)
        num_inputs = features.shape[1]
        num_frames = (len(features) - self.kernel) // self.stride + 1
        rows = features.as_strided(
            (num_frames, self.kernel * num_inputs),
            (self.stride * num_inputs, 1),
            features.storage_offset(),
        )
        outputs = self.linear(rows)
        if self.norm is None:
            return outputs
        outputs = nn.LayerNorm.forward(self.norm, outputs.to(self.norm.weight.dtype))
        return torch.ops.aten.gelu_(outputs)


class NormalizedConvolution:
    """First convolution, normalization of each channel over time, GELU

    Mean and variance of a channel are computed from mean and covariance of the samples: weight and
    bias of the convolution are changed for each waveform, so that its output is normalized.
    """

    def __init__(self, conv: nn.Conv1d, norm: nn.GroupNorm) -> None:
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        more = -conv.out_channels % ALIGNMENT
        self.num_outputs = conv.out_channels + more
        # a bias of the convolution would be removed with the mean
        self.weight = F.pad(conv.weight.detach()[:, 0].double(), (0, 0, 0, more))
        # (num_outputs, kernel)
        self.gain = F.pad(norm.weight.detach().double(), (0, more))
        self.shift = F.pad(norm.bias.detach().double(), (0, more))
        self.eps = norm.eps

    def fit(self, waveform: Tensor) -> Callable[[Tensor], Tensor]:
        """Make the convolution for one waveform

        Parameters
        ----------
        waveform : (num_samples,) torch.Tensor
            Complete waveform.

        Returns
        -------
        convolution : callable
            From a part of the waveform, (num_samples, 1), to (num_frames, num_outputs).
        """
        # squares need double precision
        samples = waveform.double()
        offset = samples.mean()
        samples = (samples - offset).unfold(0, self.kernel, self.stride).contiguous()
        # (num_frames, kernel)

        mean = samples.mean(0)
        covariance = samples.T @ samples / len(samples) - mean[:, None] * mean
        variance = ((self.weight @ covariance) * self.weight).sum(1).clamp(min=0)
        gain = self.gain * (variance + self.eps).rsqrt()
        weight, bias = (
            self.weight * gain[:, None],
            self.shift - gain * (self.weight @ (mean + offset)),
        )
        return partial(self._convolve, weight.T.to(waveform), bias.to(waveform))

    def _convolve(self, weight: Tensor, bias: Tensor, samples: Tensor) -> Tensor:
        rows = samples[:, 0].unfold(0, self.kernel, self.stride)
        return torch.ops.aten.gelu_(torch.addmm(bias, rows, weight))


class PlainExtractor:
    """Unchanged extractor, for devices with fast convolutions"""

    def __init__(
        self, extractor: FeatureExtractor, config: WavLMConfig, dtype: torch.dtype
    ) -> None:
        self.forward, self.dtype = extractor.forward, dtype

    def __call__(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, self.dtype, self.dtype != waveforms.dtype):
            return self.forward(waveforms)[0].to(waveforms.dtype)


class FrozenProjection:
    """Normalization, then projection to the dimension of the Transformer"""

    def __init__(self, projection: FeatureProjection, dtype: torch.dtype) -> None:
        self.norm = projection.norm.forward
        self.linear = FrozenLinear.from_module(projection.linear, dtype)

    def __call__(self, features: Tensor) -> Tensor:
        return self.linear(self.norm(features)).to(features.dtype)
