"""Both position embeddings at inference"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..position import PositionalConvolution, RelativePositionBias

# for shorter kernels, a convolution is faster than Fourier transforms
SHORT_KERNEL = 32


class FrozenPosition:
    """Convolutional position embedding, whose normalized weight is computed once

    On a CPU, a long convolution is a product of Fourier transforms, block by block (overlap-save):
    with 128 frames and 48 channels per group, 50 times fewer operations.
    """

    def __init__(self, position: PositionalConvolution, fourier: bool) -> None:
        conv = position.conv
        self.weight, self.bias = conv.weight.detach(), conv.bias.detach()
        self.kernel, self.padding, self.groups = conv.kernel, conv.padding, conv.groups
        self.fourier = fourier and self.kernel >= SHORT_KERNEL
        if self.fourier:
            self.block = 2 << (self.kernel - 1).bit_length()
            # the first `hop` outputs of a block do not wrap around
            self.hop = self.block - self.kernel + 1
            self.weight = self._transform(self.weight)

    def _transform(self, weight: Tensor) -> Tensor:
        # conjugate: what neural networks call a convolution is a correlation
        spectrum = torch.fft.rfft(weight, self.block).conj()
        # (embed_dim, num_inputs, num_frequencies)
        spectrum = spectrum.unflatten(0, (self.groups, -1)).permute(3, 0, 2, 1)
        # (num_frequencies, num_groups, num_inputs, num_outputs)
        return spectrum.resolve_conj().contiguous()

    def __call__(self, hidden: Tensor) -> Tensor:
        """

        Parameters
        ----------
        hidden : (batch_size, num_frames, embed_dim) torch.Tensor
        """
        position = self._by_fourier(hidden) if self.fourier else self._plain(hidden)
        return F.gelu(position)

    def _plain(self, hidden: Tensor) -> Tensor:
        inputs = hidden.transpose(1, 2)
        outputs = F.conv1d(inputs, self.weight, self.bias, padding=self.padding, groups=self.groups)
        return outputs[..., : hidden.shape[1]].transpose(1, 2)

    def _by_fourier(self, hidden: Tensor) -> Tensor:
        batch_size, num_frames, dim = hidden.shape
        num_blocks = -(-num_frames // self.hop)
        after = num_blocks * self.hop + self.kernel - 1 - self.padding - num_frames
        padded = F.pad(hidden, (0, 0, self.padding, after))
        blocks = padded.unfold(1, self.block, self.hop)
        # (batch_size, num_blocks, embed_dim, block)

        spectrum = torch.fft.rfft(blocks).flatten(0, 1).unflatten(1, (self.groups, -1))
        # (batch_size * num_blocks, num_groups, num_inputs, num_frequencies)
        product = spectrum.permute(3, 1, 0, 2).contiguous() @ self.weight
        # (num_frequencies, num_groups, batch_size * num_blocks, num_outputs)
        outputs = torch.fft.irfft(product.permute(2, 1, 3, 0), self.block)[..., : self.hop]
        # (batch_size * num_blocks, num_groups, num_outputs, hop)
        outputs = outputs.reshape(batch_size, num_blocks, dim, self.hop).transpose(2, 3)
        return outputs.flatten(1, 2)[:, :num_frames] + self.bias


class FrozenPositionBias:
    """Relative position bias, cached for the last number of frames"""

    def __init__(self, position_bias: RelativePositionBias, dtype: torch.dtype) -> None:
        self.compute, self.dtype = position_bias.forward, dtype
        self.bias: Tensor | None = None

    def __call__(self, num_frames: int) -> Tensor:
        """

        Returns
        -------
        bias : (num_heads, num_frames, num_frames) torch.Tensor
        """
        # read once, and replaced atomically: other threads may have windows of other lengths
        bias = self.bias
        if bias is None or bias.shape[-1] != num_frames:
            bias = self.bias = self.compute(num_frames).to(self.dtype)
        return bias
