"""Feature extractor and projection at inference

On a CPU, convolutions are matrix products. Features have one row per frame in memory: the receptive
field of an output frame is a range of consecutive rows, i.e. one row of a matrix whose rows
overlap. Normalizations over channels then read what is side by side.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..extractor import Convolution, FeatureExtractor, FeatureProjection
from .linear import FrozenLinear


class FrozenExtractor:
    """Feature extractor without gates

    Parameters
    ----------
    extractor : FeatureExtractor
    dtype : torch.dtype
        Type of products. Normalizations, and the first convolution if one of each channel over time
        comes next, are in the type of waveforms.
    """

    def __init__(self, extractor: FeatureExtractor, dtype: torch.dtype) -> None:
        self.scale, self.dtype = extractor.scale, dtype
        first, *others = extractor.convolutions
        self.first = first if isinstance(first.norm, nn.GroupNorm) else None
        if self.first is None:
            others.insert(0, first)
        self.modules = others
        on_cpu = self.scale.device.type == "cpu"
        self.convolutions = [FrozenConvolution(other, dtype) for other in others if on_cpu]

    def __call__(self, waveforms: Tensor) -> Tensor:
        """

        Parameters
        ----------
        waveforms : (batch_size, num_samples) torch.Tensor

        Returns
        -------
        features : (batch_size, num_frames, num_channels) torch.Tensor
        """
        if not self.convolutions:
            return self._convolve(waveforms)
        # one by one: features of a window stay closer to the processor than those of a batch
        return torch.cat([self._multiply(waveform) for waveform in waveforms.split(1)])

    def _convolve(self, waveforms: Tensor) -> Tensor:
        features = self._start(waveforms)
        with torch.autocast(waveforms.device.type, self.dtype, self.dtype != waveforms.dtype):
            for module in self.modules:
                features, _ = module(features)
        return features.transpose(1, 2).to(waveforms.dtype) * self.scale

    def _multiply(self, waveforms: Tensor) -> Tensor:
        rows = self._start(waveforms)[0].T
        for convolution in self.convolutions:
            rows = convolution(rows)
        return (rows.to(waveforms.dtype) * self.scale)[None]

    def _start(self, waveforms: Tensor) -> Tensor:
        features = waveforms[:, None]
        return features if self.first is None else self.first(features)[0]


class FrozenConvolution:
    """Convolution, normalization over channels (optional), GELU, as a matrix product

    Parameters
    ----------
    convolution : Convolution
    dtype : torch.dtype
    """

    def __init__(self, convolution: Convolution, dtype: torch.dtype) -> None:
        conv, norm = convolution.conv, convolution.norm
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        self.norm = norm if isinstance(norm, nn.LayerNorm) else None
        # (num_outputs, kernel * num_inputs)
        self.linear = FrozenLinear(conv.weight.transpose(1, 2).flatten(1), conv.bias, dtype)

    def __call__(self, features: Tensor) -> Tensor:
        """

        Parameters
        ----------
        features : (num_input_frames, num_inputs) torch.Tensor

        Returns
        -------
        features : (num_frames, num_outputs) torch.Tensor
        """
        features = features.to(self.linear.weight.dtype).contiguous()
        num_frames = (len(features) - self.kernel) // self.stride + 1
        num_inputs = features.shape[1]
        rows = features.as_strided(
            (num_frames, self.kernel * num_inputs),
            (self.stride * num_inputs, 1),
            features.storage_offset(),
        )
        outputs = self.linear(rows)
        if self.norm is not None:
            outputs = nn.LayerNorm.forward(self.norm, outputs.to(self.norm.weight.dtype))
        return F.gelu(outputs)


class FrozenProjection:
    """Normalization, then projection to the dimension of the Transformer"""

    def __init__(self, projection: FeatureProjection, dtype: torch.dtype) -> None:
        self.norm = projection.norm.forward
        self.linear = FrozenLinear.from_module(projection.linear, dtype)

    def __call__(self, features: Tensor) -> Tensor:
        return self.linear(self.norm(features)).to(features.dtype)
