"""Clusterings of pyannote.audio for long and short recordings, with the options of DiariZen"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyannote.audio.pipelines import clustering
from pyannote.core import SlidingWindowFeature

from .pyannote_repairs import (
    FewEmbeddings,
    LinearAgglomerativeClustering,
    LinearVBxClustering,
)
from .settings import MIN_CLEAN_RATIO


class CleanSpeechFilter(clustering.BaseClustering):
    """Mixin for clusterings of pyannote.audio: choose embeddings by their amount of clean speech

    Embeddings of speakers who speak alone for long enough in their window are clustered, then all
    embeddings are assigned to these clusters. pyannote.audio (4.0.7) requires a fifth of the
    window. DiariZen requires a tenth, and takes all active speakers if fewer than two of them have
    that much: short recordings and short turns keep their speakers.

    Attributes
    ----------
    min_clean_ratio : float or None
        Share of a window, in (0, 1]. Defaults to that of DiariZen; None is the rule of
        pyannote.audio.
    """

    min_clean_ratio: float | None = MIN_CLEAN_RATIO

    # called with segmentations, always, although they are optional in pyannote.audio
    def filter_embeddings(  # type: ignore[override]
        self, embeddings: np.ndarray, segmentations: SlidingWindowFeature, *args: Any, **kwargs: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose embeddings to cluster

        Parameters
        ----------
        embeddings : (num_chunks, num_speakers, dimension) np.ndarray
        segmentations : (num_chunks, num_frames, num_speakers) SlidingWindowFeature
            Binary.

        Returns
        -------
        chosen : (num_chosen, dimension) np.ndarray
        chunks, speakers : (num_chosen,) np.ndarray
            Indices of their windows and speakers.
        """
        if self.min_clean_ratio is None:
            return super().filter_embeddings(embeddings, segmentations, *args, **kwargs)
        active = segmentations.data > 0
        alone = active & (active.sum(axis=2, keepdims=True) == 1)
        usable = active.any(axis=1) & ~np.isnan(embeddings).any(axis=2)
        min_frames = round(self.min_clean_ratio * active.shape[1])
        clean = usable & (alone.sum(axis=1) >= min_frames)
        chunks, speakers = np.nonzero(clean if clean.sum() >= 2 else usable)
        return embeddings[chunks, speakers], chunks, speakers


class AgglomerativeClustering(CleanSpeechFilter, FewEmbeddings, LinearAgglomerativeClustering):
    """Agglomerative clustering of pyannote.audio, with `min_clean_ratio`

    Memory is proportional to the number of embeddings with the methods centroid, median, ward and
    single, and to its square with others.
    """


class VBxClustering(CleanSpeechFilter, FewEmbeddings, LinearVBxClustering):
    """Bayesian clustering of pyannote.audio, with `min_clean_ratio`

    Memory is proportional to the number of embeddings.
    """


CLUSTERINGS = {
    "AgglomerativeClustering": AgglomerativeClustering,
    "VBxClustering": VBxClustering,
}
