"""One conversation: who speaks when, then what is heard"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment

from ...files.audio import SAMPLE_RATE
from .turn_statistics import TurnStatistics

# words of a turn are that far apart, in seconds
WORD_GAPS = (0.02, 0.15)

# shortest turn, and fade of recordings that are cut, in seconds
SHORTEST, FADE = 0.2, 0.01


@dataclass(frozen=True)
class PlannedTurn:
    """Someone speaks

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
    """Draw who speaks when

    The next turn follows the one that ends last: after a pause, or before its end. A speaker
    never overlaps himself, and no more than two of them speak at the same time.

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
        Called with speaker, start, and latest end. Returns when the speaker stops: words do not
        fill a turn exactly.

    Returns
    -------
    turns : list of PlannedTurn
        By increasing start. All speakers have one if there is time enough.
    """
    turns: list[PlannedTurn] = []

    def take(speaker: int, start: float):
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
        # nobody starts before the one that he interrupts, nor before himself, nor as a third one
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
    """Where turns are filled with recordings

    Parameters
    ----------
    names : sequence of str
        Names of speakers.
    draw : sequence of callable
        Return some recording of each speaker, (num_samples,).
    duration : float
        In seconds.
    rng : np.random.Generator

    Attributes
    ----------
    tracks : list of (num_samples,) np.ndarray
        What each speaker says.
    annotation : Annotation
        What was placed, exactly: turns end with their last word.
    """

    def __init__(
        self,
        names: Sequence[str],
        draw: Sequence[Callable[[], np.ndarray]],
        duration: float,
        rng: np.random.Generator,
    ):
        self.names, self.draw, self.rng = names, draw, rng
        self.tracks = [np.zeros(round(duration * SAMPLE_RATE), dtype=np.float32) for _ in names]
        self.annotation = Annotation()

    def speak(self, speaker: int, start: float, end: float) -> float:
        """Place a turn, and return when it ends"""
        track, first = self.tracks[speaker], round(start * SAMPLE_RATE)
        room = min(round(end * SAMPLE_RATE), len(track)) - first
        speech = fill(room, self.draw[speaker], self.rng)
        track[first : first + len(speech)] = speech
        segment = Segment(first / SAMPLE_RATE, (first + len(speech)) / SAMPLE_RATE)
        self.annotation[segment, len(self.annotation)] = self.names[speaker]
        return segment.end


def fill(room: int, draw: Callable[[], np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Recordings one after the other, as many as fit

    Recordings that are longer than the whole turn are cut at random.

    Returns
    -------
    speech : (num_samples,) np.ndarray
        At most `room` samples.
    """
    pieces, length = [], 0
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
