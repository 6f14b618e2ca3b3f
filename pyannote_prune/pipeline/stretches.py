"""Speaker embeddings from frames of long stretches of a recording

Windows overlap: with a step of a tenth of their length, each second passes ten times through the
network of the speaker embedding. Here it passes about once: frames are computed over a stretch of
many windows, and those of a window are pooled over each of its speakers. They see the audio around
their window, and features are centered over the stretch: embeddings differ a little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeGuard

import numpy as np
import torch
from pyannote.core import Segment, SlidingWindowFeature
from torch import Tensor

from ..onnx.embedding import is_wespeaker
from .embedding import SharedFramesEmbedding


def can_stretch(embedding: object) -> TypeGuard[SharedFramesEmbedding]:
    """Whether frames of an embedding can be computed over stretches"""
    return isinstance(embedding, SharedFramesEmbedding) and is_wespeaker(embedding.model_)


def embed_over_stretches(
    embedding: SharedFramesEmbedding,
    crop: Callable[[Segment], Tensor],
    segmentations: SlidingWindowFeature,
    max_duration: float,
    exclude_overlap: bool = False,
    hook: Callable | None = None,
) -> np.ndarray:
    """Extract embeddings of all speakers of all windows

    Parameters
    ----------
    embedding : SharedFramesEmbedding
        For which `can_stretch` is true.
    crop : callable
        From a segment to its waveform, (1, num_samples), with zeros out of the recording.
    segmentations : (num_windows, num_frames, num_speakers) SlidingWindowFeature
        Binary segmentation of each window. NaN is no speech.
    max_duration : float
        Duration of stretches, in seconds. One window is computed in any case.
    exclude_overlap : bool, optional
        Leave overlapping speech out, for speakers of whom enough is left.
    hook : callable, optional
        Called with "embeddings", the last ones, and numbers of windows (`completed`, `total`).

    Returns
    -------
    embeddings : (num_windows, num_speakers, dimension) np.ndarray
    """
    windows, sample_rate = segmentations.sliding_window, embedding.sample_rate
    num_samples = round(windows.duration * sample_rate)
    min_frames = None
    if exclude_overlap:
        num_frames = segmentations.data.shape[1]
        min_frames = math.ceil(num_frames * embedding.min_num_samples / num_samples)
    masks = torch.from_numpy(choose_masks(segmentations.data, min_frames))
    speaks = masks.any(dim=2)
    embeddings = np.repeat(embedding.of_silence(), speaks.numel(), axis=0)
    embeddings = embeddings.reshape(*speaks.shape, -1)

    model, total = embedding.model_, len(masks)
    size = model.num_frames(num_samples)
    shift = model.receptive_field_size(2) - model.receptive_field_size(1)
    if hook is not None:
        hook("embeddings", None, total=total, completed=0)
    somebody = speaks.any(dim=1).tolist()
    for stretch in stretches(somebody, windows.duration, windows.step, max_duration):
        start, last = windows[stretch[0]].start, stretch[-1]
        frames = embedding.frames(crop(Segment(start, windows[last].end))[None])
        for index in stretch:
            first = round((windows[index].start - start) * sample_rate / shift)
            # rounding may leave the last window a frame short
            first = max(0, min(first, frames.shape[-1] - size))
            active = masks[index, speaks[index]]
            part = frames[..., first : first + size].expand(len(active), *frames.shape[1:-1], -1)
            embeddings[index, speaks[index].numpy()] = embedding.pool(part, active)
        if hook is not None:
            hook("embeddings", embeddings[last], total=total, completed=last + 1)
    if hook is not None:
        hook("embeddings", embeddings, total=total, completed=total)
    return embeddings


def choose_masks(segmentations: np.ndarray, min_frames: int | None = None) -> np.ndarray:
    """Choose the frames that count for each speaker: those of pyannote.audio

    Parameters
    ----------
    segmentations : (num_windows, num_frames, num_speakers) np.ndarray
    min_frames : int, optional
        Leave overlapping speech out, for speakers who speak alone in more frames than that.
        Defaults to all speech.

    Returns
    -------
    masks : (num_windows, num_speakers, num_frames) np.ndarray
    """
    masks = np.nan_to_num(segmentations, nan=0.0).astype(np.float32)
    if min_frames is not None:
        # NaN is not less than anything: it makes a whole frame unclean
        clean = masks * (np.sum(segmentations, axis=2, keepdims=True) < 2)
        is_enough = clean.sum(axis=1, keepdims=True) > min_frames
        masks = np.where(is_enough, clean, masks)
    return np.ascontiguousarray(masks.transpose(0, 2, 1), dtype=np.float32)


def stretches(
    speaks: list[bool], duration: float, step: float, max_duration: float
) -> Iterator[range]:
    """Group windows with speech that follow each other

    Parameters
    ----------
    speaks : list of bool
        Whether anybody speaks in each window.
    duration, step : float
        Of windows, in seconds.
    max_duration : float
        Of what the windows of a group cover together, unless there is a single one.

    Yields
    ------
    indices : range
    """
    most = max(1, 1 + math.floor((max_duration - duration) / step + 1e-6))
    start = None
    for index, somebody in enumerate([*speaks, False]):
        if start is not None and (not somebody or index - start == most):
            yield range(start, index)
            start = None
        if somebody and start is None:
            start = index
