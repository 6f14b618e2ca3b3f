"""Number of frames, and receptive field

Convolutions are not padded: frame `i` covers samples `i * hop` to `i * hop + size - 1`,
with a hop of 320 samples (20 ms) and a receptive field of 400 samples (25 ms) for WavLM.
"""

from __future__ import annotations

from collections.abc import Sequence

from .config import ConvolutionConfig


def frames_per_convolution(
    convolutions: Sequence[ConvolutionConfig], num_samples: int
) -> list[int]:
    """Compute the number of output frames of each convolution, 0 if the input is too short

    Examples
    --------
    >>> from pyannote_prune import WavLMConfig
    >>> frames_per_convolution(WavLMConfig.preset("base").convolutions, 16000)
    [3199, 1599, 799, 399, 199, 99, 49]
    """
    num_frames, counts = num_samples, []
    for convolution in convolutions:
        num_frames = max(0, (num_frames - convolution.kernel) // convolution.stride + 1)
        counts.append(num_frames)
    return counts


def receptive_field_size(convolutions: Sequence[ConvolutionConfig], num_frames: int = 1) -> int:
    """Compute the number of samples that `num_frames` consecutive frames cover"""
    size = num_frames
    for convolution in reversed(convolutions):
        size = (size - 1) * convolution.stride + convolution.kernel
    return size
