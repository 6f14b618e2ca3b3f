"""Speaker embeddings from frames of long stretches"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from embeddings import small_wespeaker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyannote.audio.models.embedding import XVectorMFCC
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import SlidingWindow, SlidingWindowFeature

from pyannote_prune import DiarizationSettings
from pyannote_prune.pipeline import DiarizationPipeline
from pyannote_prune.pipeline.pyannote_repairs import get_embedding
from pyannote_prune.pipeline.stretches import stretches

PARAMETERS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"method": "centroid", "min_cluster_size": 2, "threshold": 0.7},
}


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 8), st.floats(0.5, 30))
def test_stretches_hold_each_window_with_speech_once(speaks, ratio, max_duration):
    """They follow each other, and are no longer than asked for"""
    duration, step = 4.0, 4.0 / ratio
    found = list(stretches(speaks, duration, step, max_duration))
    assert [i for one in found for i in one] == [i for i, yes in enumerate(speaks) if yes]
    for one in found:
        assert len(one) == 1 or duration + (len(one) - 1) * step <= max_duration + 1e-3
    for one, other in pairwise(found):
        # the next one is needed: there is silence in between, or no more room
        longer = duration + len(one) * step
        assert other[0] > one[-1] + 1 or longer > max_duration - 1e-3


@pytest.fixture
def arguments_of_ours(arguments) -> dict:
    del arguments["plda"]
    others = {"embedding": small_wespeaker(), "clustering": "AgglomerativeClustering"}
    return arguments | others


def segmentations(num_windows: int, step: float, seed: int) -> SlidingWindowFeature:
    """Windows of 2 s: turns of three speakers, who may overlap, be silent, or be unknown (NaN)"""
    generator = np.random.default_rng(seed)
    data = (generator.random((num_windows, 10, 3)) < 0.4).repeat(10, axis=1).astype(np.float32)
    data *= generator.random((num_windows, 1, 3)) < 0.7
    data[-1, 60:] = np.nan
    return SlidingWindowFeature(data, SlidingWindow(start=0, duration=2.0, step=step))


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.booleans(), st.integers(0, 2**16))
def test_stretches_of_one_window_give_the_embeddings_of_pyannote(
    arguments_of_ours, exclude_overlap, seed
):
    """Of the same frames, up to the end of the recording and beyond"""
    windows = segmentations(6, 0.8, seed)
    generator = torch.Generator().manual_seed(seed)
    # the last window ends after it
    file = {"waveform": torch.randn(1, 90_000, generator=generator), "sample_rate": 16000}
    found, expected = (
        DiarizationPipeline(**arguments_of_ours, embedding_stretch=stretch).get_embeddings(
            file, windows, exclude_overlap
        )
        for stretch in (0.1, None)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_each_second_passes_once_and_embeddings_stay_close(arguments_of_ours, monkeypatch):
    """More or less: windows at both ends of a stretch overlap"""
    # of the sample, in all frames: those at the ends of windows count less
    windows = SlidingWindowFeature(
        np.ones((100, 100, 1), np.float32), SlidingWindow(start=0, duration=4.0, step=0.26)
    )
    embeddings, seconds = [], []
    for stretch in (20.0, None):
        pipeline = DiarizationPipeline(**arguments_of_ours, embedding_stretch=stretch)
        model, passed = get_embedding(pipeline).model_, []
        forward_frames = model.forward_frames
        with monkeypatch.context() as patch:
            patch.setattr(
                model,
                "forward_frames",
                lambda waveforms, f=forward_frames, p=passed: (
                    p.append(waveforms.shape[0] * waveforms.shape[2]) or f(waveforms)
                ),
            )
            embeddings.append(pipeline.get_embeddings(SAMPLE_FILE, windows)[:, 0])
        seconds.append(sum(passed) / 16000)
    assert seconds[0] < 1.5 * 30
    assert seconds[1] == 400
    close, exact = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in embeddings)
    assert np.median((close * exact).sum(axis=1)) > 0.95


def test_same_turns_from_a_short_recording(arguments_of_ours):
    """The sample conversation, with progress up to the last window"""
    turns, steps = [], []

    def hook(name, artifact, file=None, total=None, completed=None):
        if name == "embeddings" and total is not None:
            steps.append((completed, total))

    for stretch in (60.0, None):
        pipeline = DiarizationPipeline(**arguments_of_ours, embedding_stretch=stretch)
        pipeline.instantiate(PARAMETERS)
        turns.append(pipeline(SAMPLE_FILE, hook=hook).speaker_diarization)
        if stretch:
            assert (steps[0][0], steps[-1][0]) == (0, steps[-1][1])
    # who speaks is a matter of embeddings, and when is not
    assert turns[0].get_timeline().support() == turns[1].get_timeline().support()


def test_embeddings_that_cannot_are_computed_window_by_window(arguments_of_ours):
    other = XVectorMFCC().eval()
    with pytest.warns(UserWarning, match="`embedding_stretch` is for WeSpeaker ResNets"):
        found = DiarizationPipeline(
            **arguments_of_ours | {"embedding": other}, embedding_stretch=60.0
        )
    assert found.embedding_stretch is None
    # nobody asked for it: no warning
    found = DiarizationPipeline(**arguments_of_ours, share_frames=False, speed="exact")
    assert found.embedding_stretch is None


@pytest.mark.parametrize("stretch", [0, -1.0, float("inf"), "60", True])
def test_impossible_stretches_are_refused(stretch):
    with pytest.raises(ValueError, match="`embedding_stretch` must be a duration in seconds"):
        DiarizationSettings(embedding_stretch=stretch)
