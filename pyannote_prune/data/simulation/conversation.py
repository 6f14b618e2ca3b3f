"""Draw the turns of a conversation, and fill them with recordings"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pyannote.core import Annotation, Segment

from ...files.audio import SAMPLE_RATE
from .stretches import SHORTEST, Supply
from .turn_statistics import TurnStatistics

# pauses between recordings of a turn, in seconds
WORD_GAPS = (0.02, 0.15)

# fade of recordings that are cut, in seconds
FADE = 0.01


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
    can_speak: Callable[[int], bool] = lambda speaker: True,
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
    can_speak : callable, optional
        Whether a speaker has something left to say. Defaults to always. When one has not, others go
        on; when nobody has, the conversation ends.

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
        able = [speaker for speaker in range(num_speakers) if can_speak(speaker)]
        if not able:
            return turns
        speaker = _next_speaker(turns, last, able, statistics.change_probability, rng)
        if speaker == last.speaker:
            start = last.end + _draw_length(
                rng, statistics.same_speaker_pauses, statistics.change_pauses
            )
        elif rng.random() < overlap * statistics.overlap_probability:
            start = last.end - _draw_length(rng, statistics.overlaps)
        else:
            start = last.end + _draw_length(
                rng, statistics.change_pauses, statistics.same_speaker_pauses
            )
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
    able: Sequence[int],
    change: float,
    rng: np.random.Generator,
) -> int:
    """Draw one of the speakers who are able to speak"""
    others = [speaker for speaker in able if speaker != last.speaker]
    if not others or (last.speaker in able and rng.random() >= change):
        return last.speaker
    silent = [speaker for speaker in others if all(turn.speaker != speaker for turn in turns)]
    return int(rng.choice(silent or others))


def _draw_length(rng: np.random.Generator, *distributions: Sequence[float]) -> float:
    """Draw from the first distribution that has values: 0 if none has

    Speakers who have nothing left to say bring about changes that statistics may lack.
    """
    return next((rng.choice(lengths) for lengths in distributions if lengths), 0.0)


class SpeakerTracks:
    """Track of each speaker, where turns are filled with recordings

    Parameters
    ----------
    names : sequence of str
        Names of speakers.
    draw : sequence of callable or Supply
        For each speaker, return a random recording, (num_samples,), or stretches used once.
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
        draw: Sequence[Callable[[], np.ndarray] | Supply],
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
        source = self.draw[speaker]
        if isinstance(source, Supply):
            speech = fill_once(room, source, self.rng)
        else:
            speech = fill(room, source, self.rng)
        track[first : first + len(speech)] = speech
        segment = Segment(first / SAMPLE_RATE, (first + len(speech)) / SAMPLE_RATE)
        self.annotation[segment, len(self.annotation)] = self.names[speaker]
        return segment.end

    def can_speak(self, speaker: int) -> bool:
        """Whether a speaker has something left to say"""
        source = self.draw[speaker]
        return not (isinstance(source, Supply) and source.is_empty)


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


def fill_once(room: int, supply: Supply, rng: np.random.Generator) -> np.ndarray:
    """Concatenate unused stretches of speech, as many as fit

    A stretch that is longer than the whole turn is cut where the turn ends. What follows is left
    for the next turn, unless it is shorter than 0.2 s.

    Parameters
    ----------
    room : int
        Number of samples.
    supply : Supply
        Not empty.
    rng : np.random.Generator

    Returns
    -------
    speech : (num_samples,) np.ndarray
        At most `room` samples.
    """
    first = supply.take().astype(np.float32)
    if len(first) > room:
        if len(first) - room >= SHORTEST * SAMPLE_RATE:
            supply.put_back(first[room:])
        return _fade(first[:room])
    pieces, left = [first], room - len(first)
    while not supply.is_empty:
        gap = round(rng.uniform(*WORD_GAPS) * SAMPLE_RATE)
        stretch = supply.take().astype(np.float32)
        if gap + len(stretch) > left:
            supply.put_back(stretch)
            break
        pieces += [np.zeros(gap, dtype=np.float32), stretch]
        left -= gap + len(stretch)
    return np.concatenate(pieces)


def _cut(recording: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    start = int(rng.integers(len(recording) - length + 1))
    return _fade(recording[start : start + length].astype(np.float32))


def _fade(piece: np.ndarray) -> np.ndarray:
    """Fade both ends of a new array"""
    piece, length = piece.copy(), len(piece)
    fade = min(round(FADE * SAMPLE_RATE), length // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    piece[:fade] *= ramp
    piece[length - fade :] *= ramp[::-1]
    return piece
