"""Draw the turns of a conversation, and fill them with recordings"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment

from ...files.audio import SAMPLE_RATE
from .turn_statistics import TurnStatistics

# pauses between recordings of a turn, in seconds
WORD_GAPS = (0.02, 0.15)

# shortest turn, and fade of recordings that are cut, in seconds
SHORTEST, FADE = 0.2, 0.01


@dataclass(frozen=True)
class PlannedTurn:
    """Turn of a speaker, before it is filled with recordings

    Parameters
    ----------
    speaker : int
        Index of the speaker.
    start, end : float
        In seconds.
    """

    speaker: int
    start: float
    end: float


def draw_turns(
    statistics: TurnStatistics,
    num_speakers: int,
    duration: float,
    overlap: float,
    rng: np.random.Generator,
    speak: Callable[[int, float, float], float] = lambda speaker, start, end: end,
) -> list[PlannedTurn]:
    """Draw the turns of a conversation

    The next turn starts after a pause, or before the end, of the turn that ends last. Speakers
    never overlap themselves, and at most two speak at the same time.

    Parameters
    ----------
    statistics : TurnStatistics
    num_speakers : int
    duration : float
        In seconds.
    overlap : float
        Factor of the probability that a change of speaker overlaps.
    rng : np.random.Generator
    speak : callable, optional
        Called with speaker, start, and latest end. Returns the actual end of the turn: recordings
        do not fill it exactly.

    Returns
    -------
    turns : list of PlannedTurn
        Sorted by start. All speakers have one if the conversation is long enough.
    """
    turns: list[PlannedTurn] = []

    def take(speaker: int, start: float) -> None:
        length = max(SHORTEST, rng.choice(statistics.turns))
        turns.append(
            PlannedTurn(speaker, start, speak(speaker, start, min(start + length, duration)))
        )

    take(int(rng.integers(num_speakers)), rng.uniform(0.0, 1.0))
    while True:
        last = max(turns, key=lambda turn: turn.end)
        speaker = _next_speaker(turns, last, num_speakers, statistics.change_probability, rng)
        if speaker == last.speaker:
            start = last.end + rng.choice(statistics.same_speaker_pauses)
        elif rng.random() < overlap * statistics.overlap_probability:
            start = last.end - rng.choice(statistics.overlaps)
        else:
            start = last.end + rng.choice(statistics.change_pauses)
        # at most two speak at once, and nobody starts before the turn they interrupt
        others = [turn.end for turn in turns if turn is not last]
        start = max(start, last.start + SHORTEST, max(others, default=0.0))
        start = max(start, *(turn.end for turn in turns if turn.speaker == speaker), 0.0)
        if start > duration - SHORTEST:
            return turns
        take(speaker, start)


def _next_speaker(
    turns: Sequence[PlannedTurn],
    last: PlannedTurn,
    num_speakers: int,
    change: float,
    rng: np.random.Generator,
) -> int:
    others = [speaker for speaker in range(num_speakers) if speaker != last.speaker]
    if not others or rng.random() >= change:
        return last.speaker
    silent = [speaker for speaker in others if all(turn.speaker != speaker for turn in turns)]
    return int(rng.choice(silent or others))


class SpeakerTracks:
    """Track of each speaker, where turns are filled with recordings

    Parameters
    ----------
    names : sequence of str
        Names of speakers.
    draw : sequence of callable
        For each speaker, return a random recording, (num_samples,).
    duration : float
        In seconds.
    rng : np.random.Generator

    Attributes
    ----------
    tracks : list of (num_samples,) np.ndarray
        Speech of each speaker.
    annotation : Annotation
        Exact turns: they end with their last recording.
    """

    def __init__(
        self,
        names: Sequence[str],
        draw: Sequence[Callable[[], np.ndarray]],
        duration: float,
        rng: np.random.Generator,
    ) -> None:
        self.names, self.draw, self.rng = names, draw, rng
        self.tracks = [np.zeros(round(duration * SAMPLE_RATE), dtype=np.float32) for _ in names]
        self.annotation = Annotation()

    def speak(self, speaker: int, start: float, end: float) -> float:
        """Fill a turn, and return its actual end, in seconds"""
        track, first = self.tracks[speaker], round(start * SAMPLE_RATE)
        room = min(round(end * SAMPLE_RATE), len(track)) - first
        speech = fill(room, self.draw[speaker], self.rng)
        track[first : first + len(speech)] = speech
        segment = Segment(first / SAMPLE_RATE, (first + len(speech)) / SAMPLE_RATE)
        self.annotation[segment, len(self.annotation)] = self.names[speaker]
        return segment.end


def fill(room: int, draw: Callable[[], np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Concatenate random recordings, as many as fit

    A random part is taken of a recording that is longer than the whole turn.

    Returns
    -------
    speech : (num_samples,) np.ndarray
        At most `room` samples.
    """
    pieces: list[np.ndarray] = []
    length = 0
    while True:
        gap = round(rng.uniform(*WORD_GAPS) * SAMPLE_RATE) if pieces else 0
        left = room - length - gap
        recording = draw()
        if len(recording) > left:
            if pieces:
                return np.concatenate(pieces)
            return _cut(recording, room, rng)
        pieces += [np.zeros(gap, dtype=np.float32), recording.astype(np.float32)]
        length += gap + len(recording)


def _cut(recording: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    start = int(rng.integers(len(recording) - length + 1))
    piece = recording[start : start + length].astype(np.float32)
    fade = min(round(FADE * SAMPLE_RATE), length // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    piece[:fade] *= ramp
    piece[length - fade :] *= ramp[::-1]
    return piece
