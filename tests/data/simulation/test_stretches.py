"""Recordings are cut at pauses, and a conversation uses no sample of speech twice"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pyannote_prune.data.simulation import Simulation, TurnStatistics
from pyannote_prune.data.simulation.protocol import conversation
from pyannote_prune.data.simulation.stretches import Supply, cut_at_pauses
from pyannote_prune.data.simulation.voices import Excerpt

# no noise, no gain, one speaker at a time: samples of a conversation are those of recordings
PLAIN = Simulation(snr=None, level=0.0, overlap=0.0, speeds=(1.0,), duration=20.0)


def numbered(start: int, frames: list[int], rng: np.random.Generator) -> np.ndarray:
    """Recording whose samples of speech differ from all others, even in other recordings

    Parameters
    ----------
    start : int
        Number of the first sample.
    frames : list of int
        Numbers of frames of 10 ms: of speech, of silence, of speech...
    """
    is_speech = np.repeat(np.arange(len(frames)) % 2 == 0, np.array(frames) * 160)
    # exact in single precision
    values = (2**22 + start + np.arange(len(is_speech))) / 2**24
    return (values * rng.choice([-1, 1], len(values)) * is_speech).astype(np.float32)


def number_of(samples: np.ndarray) -> np.ndarray:
    """Inverse of `numbered`: -1 for what is no sample of a recording"""
    numbers = np.abs(samples).astype(np.float64) * 2**24 - 2**22
    return np.where((numbers >= 0) & (numbers % 1 == 0), numbers, -1).astype(int)


# lengths of speech, of silence, of speech... in frames
recording = st.lists(
    st.tuples(st.integers(3, 150), st.integers(1, 60)), min_size=1, max_size=6
).map(lambda pairs: [length for pair in pairs for length in pair][:-1])


@settings(deadline=None, max_examples=200)
@given(frames=recording, seed=st.integers(0, 99))
def test_stretches_are_what_is_between_pauses(frames, seed):
    samples = numbered(0, frames, np.random.default_rng(seed))
    found = cut_at_pauses(samples)
    places = [number_of(stretch) for stretch in found]
    used = np.concatenate([place[place >= 0] for place in places])
    assert (np.diff(used) > 0).all()
    # speech between two pauses is in one stretch, and in no other
    bounds = np.cumsum([0, *frames]) * 160
    groups = [[bounds[0], bounds[1]]]
    for i in range(2, len(frames), 2):
        if frames[i - 1] >= 20:
            groups.append([bounds[i], bounds[i + 1]])
        else:
            groups[-1][1] = bounds[i + 1]
    long = [group for group in groups if group[1] - group[0] >= 0.2 * 16000]
    inside = [(place[place >= 0][0], place[place >= 0][-1] + 1) for place in places]
    # margins may make up for what is missing to 0.2 s
    assert set(map(tuple, long)) <= set(inside) <= set(map(tuple, groups))
    assert all(
        len(stretch) <= end - start + 4 * 160
        for stretch, (start, end) in zip(found, inside, strict=True)
    )
    if not long:
        assert inside


# without the search for the smallest example, which takes minutes
@settings(deadline=None, max_examples=60, phases=[Phase.explicit, Phase.generate])
@given(
    speakers=st.lists(st.lists(recording, min_size=1, max_size=4), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
    duration=st.floats(2.0, 40.0),
)
def test_no_sample_is_used_twice_and_references_are_what_is_heard(speakers, seed, duration):
    rng = np.random.default_rng(seed)
    files, owner, stretch_of = {}, [], []
    voices: dict[str, list[Excerpt]] = {}
    for s, recordings in enumerate(speakers):
        for r, frames in enumerate(recordings):
            path = Path(f"{s}-{r}.wav")
            files[path] = numbered(len(owner), frames, rng)
            voices.setdefault(f"s{s}", []).append(Excerpt(path))
            pieces = np.full(len(files[path]), -1)
            for p, piece in enumerate(cut_at_pauses(files[path])):
                numbers = number_of(piece)
                pieces[numbers[numbers >= 0] - len(owner)] = len(stretch_of) + p
            stretch_of += pieces.tolist()
            owner += [f"s{s}"] * len(pieces)
    owner, stretch_of = np.array(owner), np.array(stretch_of)
    options = replace(
        PLAIN, min_speakers=len(speakers), max_speakers=len(speakers), seed=seed, duration=duration
    )
    statistics = TurnStatistics.default().limited(5.0)
    with patch("pyannote_prune.data.simulation.stretches.read", lambda one, speed: files[one.path]):
        waveform, annotation = conversation(voices, options, statistics, "train", 0)
    numbers = number_of(waveform)
    for segment in annotation.itersegments():
        # cut stretches fade there
        start, end = round(segment.start * 16000), round(segment.end * 16000)
        numbers[start : start + 160] = numbers[end - 160 : end] = -1
    known = numbers[numbers >= 0]
    assert len(known)
    assert len(set(known.tolist())) == len(known)
    heard = np.zeros(len(waveform), dtype=bool)
    for segment, _, label in annotation.itertracks(yield_label=True):
        start, end = round(segment.start * 16000), round(segment.end * 16000)
        assert 0 <= start < end <= len(waveform)
        assert not heard[start:end].any()
        heard[start:end] = True
        turn = numbers[start:end]
        where = np.flatnonzero(turn >= 0)
        assert set(owner[turn[where]]) <= {label}
        # samples are unknown within a gap, or in a fade at the ends of the turn
        unknown = np.flatnonzero((turn < 0) & (waveform[start:end] != 0))
        assert all(i < 160 or i >= len(turn) - 160 for i in unknown)
        # from a sample to the next: consecutive ones of a stretch, or another stretch
        for i, j in pairwise(where):
            same = stretch_of[turn[i]] == stretch_of[turn[j]]
            assert turn[j] - turn[i] == j - i if same else j - i >= 320
    assert not waveform[~heard].any()


def test_whole_supply_is_used_if_there_is_time():
    """And the speaker is silent from then on, where others go on"""
    rng = np.random.default_rng(0)
    files = {
        Path("short.wav"): numbered(0, [100], rng),
        Path("long.wav"): numbered(100 * 160, [300, 50] * 20, rng),
    }
    voices = {"short": [Excerpt(Path("short.wav"))], "long": [Excerpt(Path("long.wav"))]}
    options = replace(PLAIN, min_speakers=2, max_speakers=2, duration=60.0)
    with patch("pyannote_prune.data.simulation.stretches.read", lambda one, speed: files[one.path]):
        for number in range(10):
            waveform, annotation = conversation(
                voices, options, TurnStatistics.default(), "train", number
            )
            numbers = number_of(waveform)
            used = np.count_nonzero((numbers >= 0) & (numbers < 100 * 160))
            # fades, and an end that is shorter than any turn, are not found
            assert 100 * 160 - used <= 4 * 160 + 0.2 * 16000
            last = max(segment.end for segment in annotation.label_timeline("long"))
            assert last > max(segment.end for segment in annotation.label_timeline("short"))


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_statistics_may_lack_what_silent_speakers_bring_about(probability):
    """Changes of speaker, or several turns in a row"""
    statistics = TurnStatistics(
        turns=(1.0,),
        same_speaker_pauses=() if probability else (0.3,),
        change_pauses=(0.3,) if probability else (),
        overlaps=(),
        overlap_probability=0.0,
        change_probability=probability,
    )
    rng = np.random.default_rng(0)
    files = {Path(f"{i}.wav"): numbered(i * 10**6, [100] + [30, 100] * i, rng) for i in range(3)}
    voices = {f"s{i}": [Excerpt(Path(f"{i}.wav"))] for i in range(3)}
    options = replace(PLAIN, min_speakers=3, max_speakers=3, duration=30.0)
    with patch("pyannote_prune.data.simulation.stretches.read", lambda one, speed: files[one.path]):
        _, annotation = conversation(voices, options, statistics, "train", 0)
    assert set(annotation.labels()) == set(voices)


def test_excerpts_of_the_same_samples_are_used_once():
    rng = np.random.default_rng(0)
    samples = numbered(0, [100, 30, 100], rng)
    path = Path("one.wav")
    excerpts = [Excerpt(path), Excerpt(path, 0, 16000), Excerpt(path, 100, 200)]
    with patch(
        "pyannote_prune.data.simulation.stretches.read",
        lambda one, speed: samples[one.start : one.end],
    ):
        supply, used = Supply(excerpts, 1.0, rng), []
        while not supply.is_empty:
            numbers = number_of(supply.take())
            used += numbers[numbers >= 0].tolist()
    assert len(used) == len(set(used)) > 0
    with pytest.raises(IndexError):
        supply.take()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((0, None), (5, 6), True), ((0, 5), (5, 9), False), ((0, 6), (5, None), True)],
)
def test_excerpts_overlap_where_they_have_samples_in_common(one, other, expected):
    a, b = (Excerpt(Path("a.wav"), *bounds) for bounds in (one, other))
    assert a.overlaps(b) is b.overlaps(a) is expected
    assert not a.overlaps(replace(b, path=Path("b.wav")))
