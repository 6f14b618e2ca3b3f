"""Private attributes of the pipelines of pyannote.audio 4.0.7, and stand-ins for their parts

After an upgrade of pyannote.audio, this is the file of this room to check.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType
from typing import Any

import numpy as np
from pyannote.audio import Model, Pipeline, pipelines
from pyannote.audio.core.inference import BaseInference
from pyannote.audio.core.plda import PLDA
from pyannote.audio.pipelines import clustering
from pyannote.core import SlidingWindowFeature

from .linkage import linkage

# keys that the pipeline adds to a file while its parameters are optimized. With both of them in
# place, it does not read the audio again
CACHES = {"training_cache/segmentation", "training_cache/embeddings"}


class NoPLDA(PLDA):
    """PLDA without content, for clusterings that do not use any

    The constructor of the pipeline requires a PLDA and loads it, from the hub by default, even for
    clusterings that do not use any. It accepts an instance of `PLDA` as it is, and the constructor
    of `PLDA` needs files.
    """

    def __init__(self) -> None:
        pass


class NoEmbedding:
    """Speaker embedding without content, for oracle clustering

    The pipeline makes no embedding for oracle clustering, but reads its dimension to return zeros
    when a file has no speech at all.
    """

    dimension = 0


def get_segmentation_model(pipeline: pipelines.SpeakerDiarization) -> Model:
    """Model that `get_segmentations` applies: the pipeline has no public attribute for it"""
    return pipeline._segmentation.model


def set_segmentation_model(pipeline: pipelines.SpeakerDiarization, model: Model) -> None:
    """Replace the model that `get_segmentations` applies

    Its specifications must be the same: windows and activations depend on them.
    """
    pipeline._segmentation.model = model


def get_embedding(pipeline: pipelines.SpeakerDiarization) -> BaseInference:
    """Loaded speaker embedding: `pipeline.embedding` is only its name"""
    return pipeline._embedding


def set_embedding(
    pipeline: pipelines.SpeakerDiarization, embedding: BaseInference | NoEmbedding
) -> None:
    """Replace the loaded speaker embedding"""
    pipeline._embedding = embedding


def get_plda(pipeline: pipelines.SpeakerDiarization) -> PLDA | None:
    """Loaded PLDA: `pipeline.plda` is only its name"""
    return pipeline._plda


def expects_reference(pipeline: Pipeline) -> bool:
    """Whether clustering reads the speakers, or their number, from the reference of a file"""
    return getattr(pipeline, "_expects_num_speakers", False)


def with_linkage(method: Callable[..., Any]) -> Callable[..., Any]:
    """Same method of a clustering, calling `linkage` of this package

    Clusterings of pyannote.audio (4.0.7) call `linkage` of SciPy, by its name in their module, in
    the middle of long methods, and have no argument for it. The same code runs here with another
    meaning of that name: nothing is copied, and clusterings of pyannote.audio, perhaps those of
    another thread, keep theirs. Were that name not used any more, nothing would change.
    """
    assert isinstance(method, FunctionType)
    names = {**method.__globals__, "linkage": linkage}
    found = FunctionType(
        method.__code__, names, method.__name__, method.__defaults__, method.__closure__
    )
    found.__kwdefaults__ = method.__kwdefaults__
    return update_wrapper(found, method)


class LinearAgglomerativeClustering(clustering.AgglomerativeClustering):
    """Agglomerative clustering of pyannote.audio, in memory proportional to embeddings"""

    cluster = with_linkage(clustering.AgglomerativeClustering.cluster)


class LinearVBxClustering(clustering.VBxClustering):
    """Bayesian clustering of pyannote.audio, in memory proportional to embeddings"""

    __call__ = with_linkage(clustering.VBxClustering.__call__)


class FewEmbeddings(clustering.BaseClustering):
    """Mixin for clusterings of pyannote.audio: at most as many clusters as embeddings to cluster

    VBx of pyannote.audio (4.0.7) fails when more are asked for, as they are for short recordings.
    Without any embedding to cluster, there is one cluster, whose centroid is NaN: pyannote.audio
    gives the same ones, with a warning about means of nothing.
    """

    def __call__(
        self,
        embeddings: np.ndarray,
        segmentations: SlidingWindowFeature | None = None,
        num_clusters: int | None = None,
        min_clusters: int | None = None,
        max_clusters: int | None = None,
        **kwargs: Any,
    ) -> Any:  # three arrays, annotated as one in pyannote.audio
        """Cluster embeddings: see `pyannote.audio.pipelines.clustering.BaseClustering`"""
        # where they are NaN is all that filters read: no copy of embeddings only to count them
        is_nan = np.isnan(embeddings).any(axis=2, keepdims=True)
        chosen, _, _ = self.filter_embeddings(np.where(is_nan, np.nan, 0), segmentations)
        num_chosen = len(chosen)
        if num_chosen == 0:
            num_chunks, num_speakers, dimension = embeddings.shape
            hard_clusters = np.zeros((num_chunks, num_speakers), dtype=np.int8)
            soft_clusters = np.ones((num_chunks, num_speakers, 1))
            return hard_clusters, soft_clusters, np.full((1, dimension), np.nan)
        num_clusters, min_clusters, max_clusters = self.set_num_clusters(
            num_chosen, num_clusters, min_clusters, max_clusters
        )
        return super().__call__(
            embeddings=embeddings,
            segmentations=segmentations,
            num_clusters=num_clusters,
            min_clusters=min_clusters,
            max_clusters=max_clusters,
            **kwargs,
        )
