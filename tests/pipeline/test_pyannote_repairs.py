"""What pyannote.audio does not need any more must go"""

import numpy as np
import pytest
from pyannote.audio.pipelines import clustering as stock
from pyannote.core import SlidingWindow, SlidingWindowFeature
from scipy.cluster import hierarchy

from pyannote_prune.pipeline.linkage import linkage
from pyannote_prune.pipeline.pyannote_repairs import (
    LinearAgglomerativeClustering,
    LinearVBxClustering,
)

METHODS = [
    (stock.AgglomerativeClustering.cluster, LinearAgglomerativeClustering.cluster),
    (stock.VBxClustering.__call__, LinearVBxClustering.__call__),
]


class Whitened:
    """PLDA that changes nothing"""

    phi = np.full(4, 20.0)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        return embeddings


def call(clustering: stock.BaseClustering, embeddings: np.ndarray, **options):
    """Cluster embeddings of speakers who speak in turn, one in each window"""
    segmentations = SlidingWindowFeature(
        np.ones((len(embeddings), 10, 1)), SlidingWindow(duration=10.0, step=1.0)
    )
    return clustering(embeddings=embeddings, segmentations=segmentations, **options)


@pytest.mark.parametrize(("theirs", "ours"), METHODS)
def test_pyannote_keeps_the_distances_of_all_pairs(theirs, ours):
    """Once it does not call this function by this name, `with_linkage` has no effect"""
    assert "linkage" in theirs.__code__.co_names
    assert theirs.__globals__["linkage"] is stock.linkage is hierarchy.linkage
    assert ours.__globals__["linkage"] is linkage
    assert ours.__code__ is theirs.__code__
    assert (ours.__defaults__, ours.__kwdefaults__) == (theirs.__defaults__, theirs.__kwdefaults__)


def test_pyannote_fails_with_fewer_embeddings_than_speakers():
    """Once it does not, VBx needs no `FewEmbeddings`"""
    clustering = stock.VBxClustering(Whitened()).instantiate(
        {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}
    )
    with pytest.raises(ValueError, match="n_clusters=3"):
        call(clustering, np.eye(4)[:2, None], min_clusters=3, max_clusters=3)


@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_pyannote_averages_nothing(kind):
    """Once it does not, no clustering needs the other half of `FewEmbeddings`"""
    clustering = {
        "agglomerative": lambda: stock.AgglomerativeClustering(),
        "vbx": lambda: stock.VBxClustering(Whitened()),
    }[kind]()
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"), np.errstate(invalid="ignore"):
        call(clustering, np.full((2, 1, 4), np.nan), min_clusters=1, max_clusters=20)
