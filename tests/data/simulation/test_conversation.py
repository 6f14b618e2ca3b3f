"""Turns obey the rules of conversations, and are heard exactly where they are annotated"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyannote_prune.data.simulation import TurnStatistics
from pyannote_prune.data.simulation.acoustics import noise, reverberate
from pyannote_prune.data.simulation.conversation import SpeakerTracks, draw_turns, fill

STATISTICS = TurnStatistics.default()


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    num_speakers=st.integers(1, 6),
    duration=st.floats(2.0, 120.0),
    overlap=st.sampled_from([0.0, 0.5, 1.0, 1.4]),
)
def test_turns_obey_the_rules(seed, num_speakers, duration, overlap):
    rng = np.random.default_rng(seed)
    turns = draw_turns(STATISTICS, num_speakers, duration, overlap, rng)
    assert turns[0].start <= 1.0
    starts = [turn.start for turn in turns]
    assert starts == sorted(starts)
    for turn in turns:
        assert 0 <= turn.speaker < num_speakers
        assert 0 <= turn.start < turn.end <= duration
        at_start = [other for other in turns if other.start <= turn.start < other.end]
        assert len(at_start) <= 2
        assert len({other.speaker for other in at_start}) == len(at_start)
        if overlap == 0.0:
            assert at_start == [turn]


def test_everybody_speaks_when_there_is_time():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        turns = draw_turns(STATISTICS.limited(4.0), 3, 60.0, 1.0, rng)
        assert {turn.speaker for turn in turns} == {0, 1, 2}


@pytest.mark.parametrize("overlap", [0.5, 1.0])
def test_overlaps_and_changes_are_as_likely_as_asked(overlap):
    rng = np.random.default_rng(0)
    total = changes = overlapping = 0
    for _ in range(20):
        turns = draw_turns(STATISTICS.limited(4.0), 4, 1000.0, overlap, rng)
        total += len(turns)
        last = turns[0]
        for turn in turns[1:]:
            changes += turn.speaker != last.speaker
            overlapping += turn.speaker != last.speaker and turn.start < last.end
            last = max(last, turn, key=lambda t: t.end)
    assert changes / total == pytest.approx(STATISTICS.change_probability, abs=0.03)
    # some overlaps are not possible, as those of three speakers
    expected = overlap * STATISTICS.overlap_probability
    assert 0.8 * expected < overlapping / changes < 1.05 * expected


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), num_speakers=st.integers(1, 3))
def test_sound_is_where_the_annotation_says(seed, num_speakers):
    rng = np.random.default_rng(seed)

    def draw() -> np.ndarray:
        return np.sign(rng.standard_normal(int(rng.integers(2000, 40000)))).astype(np.float32)

    names = [f"s{i}" for i in range(num_speakers)]
    stage = SpeakerTracks(names, [draw] * num_speakers, 20.0, rng)
    turns = draw_turns(STATISTICS, num_speakers, 20.0, 1.0, rng, stage.speak)
    assert len(stage.annotation) == len(turns)
    for name, track in zip(names, stage.tracks, strict=True):
        inside = np.zeros(len(track), dtype=bool)
        for segment, _, label in stage.annotation.itertracks(yield_label=True):
            if label == name:
                start, end = round(segment.start * 16000), round(segment.end * 16000)
                assert not inside[start:end].any()  # nobody overlaps himself
                inside[start:end] = True
                # not even the longest gap between words is at the end
                assert np.abs(track[max(start, end - 1000) : end]).max() > 0
        assert not track[~inside].any()
        # words, and short gaps between them
        assert np.count_nonzero(track) >= 0.6 * inside.sum()


@settings(deadline=None, max_examples=100)
@given(room=st.integers(100, 100_000), length=st.integers(50, 50_000), seed=st.integers(0, 99))
def test_turns_are_filled_as_far_as_recordings_fit(room, length, seed):
    speech = fill(room, lambda: np.ones(length, np.float32), np.random.default_rng(seed))
    assert 0 < len(speech) <= room
    if length > room:
        assert len(speech) == room
    else:
        assert len(speech) > room - length - 0.15 * 16000 - 1


@pytest.mark.parametrize("t60", [0.01, 0.2, 1.0])
def test_reverberation_keeps_time_and_level(t60):
    click = np.zeros(32000, dtype=np.float32)
    click[4000] = 1.0
    wet = reverberate(click, t60, np.random.default_rng(0))
    assert np.abs(wet[:3999]).max() < 1e-6
    assert wet.argmax() == 4000
    assert (wet**2).mean() == pytest.approx((click**2).mean(), rel=1e-4)
    tail = wet[4001:]
    assert np.abs(tail[: round(t60 * 16000) // 4]).max() > 1e-4
    assert np.abs(tail[round(t60 * 16000) :]).max() < 1e-6


def test_noise_has_its_level_and_other_colors():
    rng = np.random.default_rng(0)
    slopes = []
    for level in (0.001, 0.1, 0.01, 0.05):
        samples = noise(32000, level, rng)
        assert np.sqrt((samples**2).mean()) == pytest.approx(level)
        power = np.abs(np.fft.rfft(samples)) ** 2
        slopes.append(np.log10(power[100:1000].mean() / power[10000:].mean()))
    assert max(slopes) - min(slopes) > 0.3
    assert min(slopes) > -0.1
