"""Clusterings of pyannote.audio: less memory, and rules of DiariZen"""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import same_partition
from pyannote.audio.pipelines import clustering as stock
from pyannote.core import SlidingWindow, SlidingWindowFeature

from pyannote_prune.pipeline import linkage
from pyannote_prune.pipeline.clustering import (
    AgglomerativeClustering,
    CleanSpeechFilter,
    VBxClustering,
)

# as many frames as windows of 16 s have
NUM_FRAMES = 799
AGGLOMERATIVE = {"method": "centroid", "min_cluster_size": 30, "threshold": 0.7}
VBX = {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}


def feature(segmentations: np.ndarray) -> SlidingWindowFeature:
    window = SlidingWindow(start=0.0, duration=16.0, step=1.6)
    return SlidingWindowFeature(segmentations.astype(np.float32), window)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from([10, 25, 49]),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.floats(0, 0.6),
    st.integers(0, 2**32 - 1),
)
def test_filter(num_chunks, num_frames, ratio, density, seed):
    """Embedding by embedding, frame by frame"""
    rng = np.random.default_rng(seed)
    segmentations = rng.random((num_chunks, num_frames, 3)) < density
    embeddings = rng.standard_normal((num_chunks, 3, 2))
    embeddings[rng.random((num_chunks, 3)) < 0.2] = np.nan
    clean, usable = [], []
    for c in range(num_chunks):
        for s in range(3):
            frames = segmentations[c]
            alone = sum(frame[s] and frame.sum() == 1 for frame in frames)
            if frames[:, s].any() and not np.isnan(embeddings[c, s]).any():
                usable.append((c, s))
                if alone >= round(ratio * num_frames):
                    clean.append((c, s))
    expected = clean if len(clean) >= 2 else usable
    filter_ = CleanSpeechFilter()
    filter_.min_clean_ratio = ratio
    chosen, chunks, speakers = filter_.filter_embeddings(embeddings, feature(segmentations))
    assert list(zip(chunks.tolist(), speakers.tolist(), strict=True)) == expected
    for found, (c, s) in zip(chosen, expected, strict=True):
        assert np.array_equal(found, embeddings[c, s])


class Whitened:
    """PLDA whose space is that of embeddings"""

    def __init__(self, dimension: int):
        self.phi = np.full(dimension, 20.0)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        return np.sqrt(embeddings.shape[1]) * 2 * embeddings


def made_up(turns: list[list[float]], seed: int = 0) -> tuple[np.ndarray, SlidingWindowFeature]:
    """Windows in which speakers take turns: shares of the window, by window then by speaker

    Embeddings of a speaker are in the direction of one axis, and a little beside it.
    """
    rng = np.random.default_rng(seed)
    shares = np.array(turns)
    num_speakers = shares.shape[1]
    segmentations = np.zeros((len(shares), NUM_FRAMES, num_speakers))
    for window, row in zip(segmentations, shares, strict=True):
        start = 0
        for speaker, share in enumerate(row):
            stop = start + round(share * NUM_FRAMES)
            window[start:stop, speaker] = 1
            start = stop
    embeddings = 0.05 * rng.standard_normal((len(shares), num_speakers, 16))
    for speaker in range(num_speakers):
        embeddings[:, speaker, speaker] += 1.0
    return embeddings, feature(segmentations)


def make(kind, module=None):
    if kind == "vbx":
        cls = VBxClustering if module is None else module.VBxClustering
        return cls(Whitened(16)).instantiate(VBX)
    cls = AgglomerativeClustering if module is None else module.AgglomerativeClustering
    return cls(constrained_assignment=module is None).instantiate(AGGLOMERATIVE)


def clusters(clustering, embeddings, segmentations) -> list[list[int]]:
    """Hard clusters of active speakers, numbered in order of appearance; -1 for nobody"""
    hard, _, _ = clustering(
        embeddings=embeddings.copy(), segmentations=segmentations, min_clusters=1, max_clusters=20
    )
    active = segmentations.data.any(axis=1)
    names: dict[int, int] = {}
    return [
        [
            names.setdefault(int(k), len(names)) if is_active and k >= 0 else -1
            for k, is_active in zip(row, present, strict=True)
        ]
        for row, present in zip(hard, active, strict=True)
    ]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_participant_with_short_turns_is_kept(kind):
    """The third one never speaks for more than an eighth of a window, hence 2 s"""
    turns = [[0.4, 0.3, 0.125]] * 40
    case = made_up(turns)
    assert clusters(make(kind), *case) == [[0, 1, 2]] * 40
    lost = clusters(make(kind, stock), *case)
    assert all(row[:2] == [0, 1] and row[2] != 2 for row in lost)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_short_recording_keeps_its_speakers(kind):
    """20 s, hence four windows, and nobody who speaks alone for a tenth of one of them"""
    case = made_up([[0.09, 0.06]] * 4)
    assert clusters(make(kind), *case) == [[0, 1]] * 4
    assert clusters(make(kind, stock), *case) != [[0, 1]] * 4


def test_speakers_of_a_window_are_different_people():
    """Even when one of them sounds like the other: DiariZen's agglomerative clustering says so"""
    embeddings, segmentations = made_up([[0.4, 0.4]] * 40)
    # in the last window, the second one sounds more like the first one
    embeddings[-1, 1, :2] = [0.8, 0.5]
    expected = [[0, 1]] * 40
    assert clusters(make("agglomerative"), embeddings, segmentations) == expected
    free = clusters(make("agglomerative", stock), embeddings, segmentations)
    assert free[:-1] == expected[:-1]
    assert free[-1] == [0, 0]


class StockAgglomerative(CleanSpeechFilter, stock.AgglomerativeClustering):
    """pyannote.audio's, with the same filter"""


class StockVBx(CleanSpeechFilter, stock.VBxClustering):
    """pyannote.audio's, with the same filter"""


CLASSES = {
    "agglomerative": (AgglomerativeClustering, StockAgglomerative),
    "vbx": (VBxClustering, StockVBx),
}
BOUNDS = [(None, 1, 20), (None, 1, np.inf), (None, 3, 4), (None, 1, 2), (2, 2, 2), (5, 5, 5)]


def random_pair(kind: str, rng: np.random.Generator) -> list[stock.BaseClustering]:
    """Our clustering and pyannote.audio's, with the same options"""
    constrained = bool(rng.integers(2))
    ratio = rng.choice([None, 0.1, 0.5])
    if kind == "vbx":
        parameters = {"threshold": rng.uniform(0.5, 0.8), "Fa": 0.07, "Fb": 0.8}
    else:
        parameters = {
            "threshold": rng.uniform(0.2, 1.2),
            "method": str(rng.choice(["centroid", "median", "ward", "single", "average"])),
            "min_cluster_size": int(rng.integers(1, 6)),
        }
    pair = []
    for cls in CLASSES[kind]:
        options = {"constrained_assignment": constrained}
        found = cls(Whitened(8), **options) if kind == "vbx" else cls(**options)
        found.min_clean_ratio = ratio
        pair.append(found.instantiate(parameters))
    return pair


def random_case(rng: np.random.Generator, share_repeated: float):
    """Windows of three speakers out of a few, some of them silent, some without embedding"""
    num_chunks, num_frames = rng.integers(1, 40), 20
    directions = rng.standard_normal((rng.integers(1, 6), 8))
    embeddings = rng.choice(directions, size=(num_chunks, 3))
    embeddings = embeddings + rng.choice([0.1, 0.3, 0.6]) * rng.standard_normal(embeddings.shape)
    flat = embeddings.reshape(-1, 8)
    repeated = rng.random(len(flat)) < share_repeated
    flat[repeated] = flat[rng.integers(len(flat), size=repeated.sum())]
    embeddings[rng.random((num_chunks, 3)) < 0.1] = np.nan
    # who speaks: nobody, one of three, or two of them
    turns = rng.integers(0, 5, size=(num_chunks, num_frames // 5)).repeat(5, axis=1)
    segmentations = np.stack([turns == k for k in range(3)], axis=2)
    segmentations[turns == 4] = [True, True, False]
    return embeddings.astype(rng.choice([np.float32, np.float64])), feature(segmentations)


def compare(kind: str, seed: int, share_repeated: float = 0.0):
    """Output of ours and of pyannote.audio's, which may fail"""
    rng = np.random.default_rng(seed)
    ours, theirs = random_pair(kind, rng)
    if share_repeated:
        # it would choose between equal embeddings of a window
        ours.constrained_assignment = theirs.constrained_assignment = False
    embeddings, segmentations = random_case(rng, share_repeated)
    # cuts that give a number of clusters may be at distance 0, among merges of equal embeddings
    bounds = BOUNDS[:2] if share_repeated else BOUNDS
    num, lower, upper = bounds[rng.integers(len(bounds))]
    arguments = {
        "segmentations": segmentations,
        "num_clusters": num,
        "min_clusters": lower,
        "max_clusters": upper,
    }
    found = ours(embeddings=embeddings.copy(), **arguments)
    try:
        expected = theirs(embeddings=embeddings.copy(), **arguments)
    except ValueError as error:
        if "n_clusters" not in str(error):
            raise
        return None
    return found, expected


@pytest.fixture
def always_from_vectors(monkeypatch):
    monkeypatch.setattr(linkage, "FEW", 1)


@pytest.mark.usefixtures("always_from_vectors")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_clusters_are_those_of_pyannote(kind):
    """Random options, and bounds of numbers of speakers"""
    numbers = set()
    for seed in range(60):
        if (outputs := compare(kind, seed)) is None:
            continue
        (hard, soft, centroids), (other_hard, other_soft, other_centroids) = outputs
        np.testing.assert_array_equal(hard, other_hard)
        np.testing.assert_allclose(soft, other_soft, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(centroids, other_centroids, rtol=1e-6, atol=1e-6)
        numbers.add(len(centroids))
    assert {1, 2, 3, 4, 5} <= numbers


@pytest.mark.usefixtures("always_from_vectors")
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Number of distinct clusters")
@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_clusters_of_repeated_embeddings_are_those_of_pyannote(kind):
    """However they are numbered"""
    for seed in range(100, 140):
        if (outputs := compare(kind, seed, share_repeated=0.4)) is None:
            continue
        (hard, _, _), (other_hard, _, _) = outputs
        assert same_partition(hard, other_hard)


@pytest.mark.skipif(linkage.fastcluster is None, reason="fastcluster is not installed")
@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_memory_grows_with_embeddings_not_with_pairs(kind):
    embeddings, segmentations = made_up([[0.4, 0.3]] * 3000)
    embeddings, segmentations = embeddings[:, :, :4], feature(segmentations.data[:, ::40])
    distances = (2 * len(embeddings)) ** 2 // 2 * 8
    clustering = make(kind) if kind == "agglomerative" else VBxClustering(Whitened(4))
    clustering.instantiate(AGGLOMERATIVE if kind == "agglomerative" else VBX)
    tracemalloc.start()
    try:
        hard, _, _ = clustering(
            embeddings=embeddings, segmentations=segmentations, min_clusters=1, max_clusters=20
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(np.unique(hard)) == 2
    assert peak < distances / 20


@pytest.mark.parametrize("ratio", [None, 0.1])
@pytest.mark.parametrize("num_clusters", [None, 1, 3])
@pytest.mark.parametrize("num_embeddings", [0, 1, 2])
@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_few_embeddings(kind, num_embeddings, num_clusters, ratio, recwarn):
    """No more clusters than embeddings, no warning, and a NaN centroid if there is none"""
    embeddings, segmentations = made_up([[0.5, 0.5]])
    embeddings[0, num_embeddings:] = np.nan
    clustering = make(kind)
    clustering.min_clean_ratio = ratio
    hard, soft, centroids = clustering(
        embeddings=embeddings.copy(),
        segmentations=segmentations,
        num_clusters=num_clusters,
        min_clusters=num_clusters or 1,
        max_clusters=num_clusters or 20,
    )
    assert not recwarn
    assert soft.shape == (1, 2, len(centroids))
    if num_embeddings == 0:
        assert hard.tolist() == [[0, 0]]
        assert np.isnan(centroids).all()
    elif num_embeddings == 2 and num_clusters == 3:
        np.testing.assert_allclose(centroids[hard[0]], embeddings[0])
        assert hard[0, 0] != hard[0, 1]
    elif num_clusters is not None:
        assert hard[0, 0] == 0
        np.testing.assert_allclose(centroids, [np.nanmean(embeddings[0], axis=0)], rtol=1e-6)
    else:  # VBx hears one speaker in two embeddings
        assert len(centroids) <= num_embeddings
        assert not np.isnan(centroids).any()


@pytest.mark.parametrize("kind", ["agglomerative", "vbx"])
def test_copies_cluster_alike(kind):
    case, clustering = made_up([[0.4, 0.3]] * 10), make(kind)
    expected = clusters(clustering, *case)
    for copied in (copy.deepcopy(clustering), pickle.loads(pickle.dumps(clustering))):
        assert clusters(copied, *case) == expected
        assert copied.parameters(instantiated=True) == clustering.parameters(instantiated=True)
