"""Speaker embeddings that process each window only once"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding
from torch import Tensor


class SharedFramesEmbedding(PyannoteAudioPretrainedSpeakerEmbedding):
    """Embeddings of all speakers of a window, from frames that are computed once

    pyannote.audio's pipeline asks for one embedding after the other, with the same waveform as many
    times as a window has speakers. Most of the network does not depend on the speaker: its output
    is kept for as long as the waveform stays the same.

    Parameters
    ----------
    embedding : PyannoteAudioPretrainedSpeakerEmbedding
        Of a model for which `can_share_frames`.
    """

    def __init__(self, embedding: PyannoteAudioPretrainedSpeakerEmbedding):
        super().__init__(embedding.model_, device=embedding.device)
        self._last = torch.empty(0), torch.empty(0)

    def __call__(self, waveforms: Tensor, masks: Tensor | None = None) -> np.ndarray:
        """Extract embeddings

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor
        masks : (batch_size, num_frames) torch.Tensor, optional

        Returns
        -------
        embeddings : (batch_size, dimension) np.ndarray
        """
        if masks is None:
            return super().__call__(waveforms)
        with torch.inference_mode():
            frames = self._shared_frames(waveforms)
            embeddings = self.model_.forward_embedding(frames, weights=masks.to(self.device))
        return embeddings.cpu().numpy()

    def _shared_frames(self, waveforms: Tensor) -> Tensor:
        """Frames of each waveform, computed once for those that follow each other

        Returns
        -------
        frames : (batch_size, ..., num_frames) torch.Tensor
        """
        # read once, and replaced as a whole: other threads may use the same pipeline
        last_waveform, last_frames = self._last
        pairs = zip([last_waveform, *waveforms[:-1]], waveforms, strict=True)
        is_new = torch.tensor([not torch.equal(previous, current) for previous, current in pairs])
        # the last batch may have ended in the middle of a window
        parts = [] if is_new[0] else [last_frames.to(self.device)]
        if is_new.any():
            parts.append(self.model_.forward_frames(waveforms[is_new].to(self.device)))
        # windows A A B C C of which the first one was the last one of the previous batch: is_new is
        # 0 0 1 1 0, and frames are those of windows 0 0 1 2 2 (of A, B, C)
        which = is_new.cumsum(0) - int(is_new[0])
        frames = torch.cat(parts)[which.to(self.device)]
        self._last = waveforms[-1], frames[-1:]
        return frames


def can_share_frames(embedding: Any) -> bool:
    """Whether an embedding of pyannote.audio has a part that does not depend on the speaker"""
    return type(embedding) is PyannoteAudioPretrainedSpeakerEmbedding and all(
        callable(getattr(embedding.model_, name, None))
        for name in ("forward_frames", "forward_embedding")
    )
