"""Clusterings of pyannote.audio with the rules of DiariZen"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.audio.pipelines import clustering as stock
from pyannote.core import SlidingWindow, SlidingWindowFeature

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
