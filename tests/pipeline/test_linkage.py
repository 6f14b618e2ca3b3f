"""Dendrograms, whatever computes them"""

import tracemalloc

import numpy as np
import pytest
from partitions import same_partition
from scipy.cluster import hierarchy

from pyannote_prune.pipeline import linkage as module
from pyannote_prune.pipeline.linkage import FROM_VECTORS, linkage

PAIRS = [(method, metric) for method, metrics in FROM_VECTORS.items() for metric in metrics]
needs_fastcluster = pytest.mark.skipif(
    module.fastcluster is None, reason="fastcluster is not installed"
)


def unit_vectors(seed: int, share_repeated: float = 0.0) -> np.ndarray:
    """Around a few directions, some of them repeated"""
    rng = np.random.default_rng(seed)
    num, dimension = rng.integers(2, 100), rng.integers(2, 20)
    directions = rng.standard_normal((rng.integers(1, 6), dimension))
    vectors = rng.choice(directions, size=num)
    vectors = vectors + rng.choice([0.1, 0.5, 1.0]) * rng.standard_normal((num, dimension))
    repeated = rng.random(num) < share_repeated
    vectors[repeated] = vectors[rng.integers(num, size=repeated.sum())]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(rng.choice([np.float32, np.float64]))


def both(embeddings: np.ndarray, method: str, metric: str) -> list[np.ndarray]:
    """Dendrograms of ours, and of SciPy"""
    return [make(embeddings, method=method, metric=metric) for make in (linkage, hierarchy.linkage)]


@pytest.fixture
def always_from_vectors(monkeypatch):
    monkeypatch.setattr(module, "FEW", 1)


@needs_fastcluster
@pytest.mark.usefixtures("always_from_vectors")
@pytest.mark.parametrize(("method", "metric"), PAIRS)
def test_dendrogram_of_different_embeddings_is_that_of_scipy(method, metric):
    """Same numbers of clusters, hence same numbers of speakers"""
    computed_otherwise = False
    for seed in range(60):
        found, expected = both(unit_vectors(seed), method, metric)
        assert np.array_equal(found[:, [0, 1, 3]], expected[:, [0, 1, 3]])
        np.testing.assert_allclose(found[:, 2], expected[:, 2], rtol=1e-9, atol=1e-9)
        computed_otherwise |= not np.array_equal(found, expected)
    assert computed_otherwise or method == "single"


@needs_fastcluster
@pytest.mark.usefixtures("always_from_vectors")
@pytest.mark.parametrize(("method", "metric"), PAIRS)
def test_clusters_of_equal_embeddings_are_those_of_scipy(method, metric):
    """Even where they are merged in another order"""
    other_order = False
    for seed in range(25):
        found, expected = both(unit_vectors(seed, share_repeated=0.4), method, metric)
        other_order |= not np.array_equal(found[:, :2], expected[:, :2])
        for threshold in (1e-3, 0.1, 0.3, 0.6, 0.9):
            one, other = (
                hierarchy.fcluster(dendrogram, threshold, criterion="distance")
                for dendrogram in (found, expected)
            )
            assert same_partition(one, other)
    assert other_order or (method, metric) == ("single", "euclidean")


@pytest.mark.parametrize("case", ["few", "other method", "other metric", "without fastcluster"])
def test_otherwise_it_is_scipy(case, monkeypatch):
    method = "average" if case == "other method" else "single"
    metric = "cityblock" if case == "other metric" else "euclidean"
    if case == "without fastcluster":
        monkeypatch.setattr(module, "fastcluster", None)
    if case != "few":
        monkeypatch.setattr(module, "FEW", 1)
    embeddings = unit_vectors(0)
    expected = hierarchy.linkage(embeddings, method=method, metric=metric)
    assert np.array_equal(linkage(embeddings, method=method, metric=metric), expected)


@needs_fastcluster
@pytest.mark.parametrize(("method", "metric"), PAIRS)
def test_memory_grows_with_embeddings_not_with_pairs(method, metric):
    embeddings = np.random.default_rng(0).standard_normal((4000, 4))
    distances = len(embeddings) ** 2 // 2 * 8
    tracemalloc.start()
    try:
        linkage(embeddings, method=method, metric=metric)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < distances / 50


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("few", [1, 100])
def test_embeddings_are_finite(value, few, monkeypatch):
    monkeypatch.setattr(module, "FEW", few)
    embeddings = np.ones((5, 3))
    embeddings[3, 1] = embeddings[4, 0] = value
    message = r"`embeddings` must be finite, .* found 2 .* among 5 \(first: number 3\): set them to"
    with pytest.raises(ValueError, match=message):
        linkage(embeddings, method="centroid", metric="euclidean")
