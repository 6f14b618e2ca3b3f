"""Cut recordings at their pauses, and use each stretch of speech once"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...files.audio import SAMPLE_RATE
from .voices import FLOOR, FRAME, MARGIN, Excerpt, frame_level, read

PAUSE = 20  # frames (0.2 s): closures within words are shorter
SHORTEST = 0.2  # of stretches and turns, in seconds


def cut_at_pauses(samples: np.ndarray) -> list[np.ndarray]:
    """Cut a recording into stretches of speech, between pauses

    A frame of 10 ms is quiet where its energy is 30 dB or more below the loudest one. A pause is
    0.2 s of quiet frames or more. Stretches keep 20 ms around their speech. Shorter ones than 0.2 s
    (clicks, breaths) are left out, unless there are no others.

    Parameters
    ----------
    samples : (num_samples,) np.ndarray
        Recording, as `read` returns it.

    Returns
    -------
    stretches : list of (num_samples,) np.ndarray
        In their order. At least one.
    """
    level = frame_level(samples)
    active = np.flatnonzero(level > FLOOR * level.max())
    (pauses,) = np.nonzero(np.diff(active) > PAUSE)
    firsts, lasts = active[[0, *(pauses + 1)]], active[[*pauses, -1]]
    stretches = [
        samples[max(0, first - MARGIN) * FRAME : (last + 1 + MARGIN) * FRAME]
        for first, last in zip(firsts, lasts, strict=True)
    ]
    is_long = [len(stretch) >= SHORTEST * SAMPLE_RATE for stretch in stretches]
    return [s for s, long in zip(stretches, is_long, strict=True) if long or not any(is_long)]


class Supply:
    """Stretches of speech of one speaker in one conversation, each used once

    Recordings are taken in random order, and their stretches as well.

    Parameters
    ----------
    recordings : sequence of Excerpt
        Recordings of the speaker. One that overlaps with another in the same file is left out.
    speed : float
        Factor of speed, higher-pitched above 1.
    rng : np.random.Generator
    """

    def __init__(
        self, recordings: Sequence[Excerpt], speed: float, rng: np.random.Generator
    ) -> None:
        self.speed, self.rng = speed, rng
        self._unread: list[Excerpt] = []
        for i in rng.permutation(len(recordings)):
            if not any(recordings[i].overlaps(other) for other in self._unread):
                self._unread.append(recordings[i])
        self._unused: list[np.ndarray] = []

    @property
    def is_empty(self) -> bool:
        """Whether everything is used"""
        if not self._unused and self._unread:
            stretches = cut_at_pauses(read(self._unread.pop(), self.speed))
            self._unused = [stretches[i] for i in self.rng.permutation(len(stretches))]
        return not self._unused

    def take(self) -> np.ndarray:
        """Take a stretch, (num_samples,), of a supply that is not empty"""
        if self.is_empty:
            raise IndexError("nothing is left")
        return self._unused.pop()

    def put_back(self, stretch: np.ndarray) -> None:
        """Keep a stretch, or what is left of it, for the next turn"""
        self._unused.append(stretch)
