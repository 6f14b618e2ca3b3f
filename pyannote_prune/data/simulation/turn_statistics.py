"""Statistics of turn-taking"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

# longest pause within a conversation, in seconds
MAX_PAUSE = 3.0

DEFAULT = Path(__file__).with_name("ami_excerpts.yml")


@dataclass(frozen=True)
class TurnStatistics:
    """Distributions of durations that conversations are drawn from, in seconds

    Parameters
    ----------
    turns : tuple of float
        Durations of turns.
    same_speaker_pauses : tuple of float
        Pauses between two turns of the same speaker.
    change_pauses : tuple of float
        Pauses between turns of two speakers.
    overlaps : tuple of float
        Durations of overlapping speech between turns of two speakers.
    overlap_probability : float
        Fraction of changes of speaker that overlap, in [0, 1].
    change_probability : float
        Fraction of turns that are followed by a turn of another speaker, in [0, 1].

    Raises
    ------
    ValueError
        If a required distribution is empty, if a duration is not positive, or if a probability is
        not in [0, 1].

    References
    ----------
    Landini et al. (see `pyannote_prune.data.simulation`), section 2: pauses and overlaps have
    their own distributions.
    """

    turns: tuple[float, ...]
    same_speaker_pauses: tuple[float, ...]
    change_pauses: tuple[float, ...]
    overlaps: tuple[float, ...]
    overlap_probability: float
    change_probability: float

    def __post_init__(self) -> None:
        for name in ("overlap_probability", "change_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be in [0, 1], found {getattr(self, name)}.")
        needed = {
            "turns": True,
            "same_speaker_pauses": self.change_probability < 1,
            "change_pauses": self.change_probability > 0 and self.overlap_probability < 1,
            "overlaps": self.change_probability > 0 and self.overlap_probability > 0,
        }
        for name, is_needed in needed.items():
            durations = getattr(self, name)
            if is_needed and not durations:
                raise ValueError(
                    f"`{name}` must not be empty: conversations need some. Measure more of them."
                )
            if any(not 0 < duration < float("inf") for duration in durations):
                raise ValueError(
                    f"`{name}` must be positive durations, in seconds, found {min(durations)}."
                )

    @classmethod
    def measure(cls, files: Iterable[Mapping[str, Any]]) -> TurnStatistics:
        """Measure real conversations

        Parameters
        ----------
        files : iterable of ProtocolFile
            With their "annotation", such as `protocol.train()`.

        Raises
        ------
        ValueError
            If there are no turns, or no changes of speaker.
        """
        turns, same, pauses, overlaps = [], [], [], []
        for file in files:
            previous = None
            tracks = file["annotation"].support().itertracks(yield_label=True)
            for segment, _, speaker in sorted(tracks, key=lambda track: tuple(track[0])):
                turns.append(segment.duration)
                if previous is not None:
                    end, last = previous
                    gap = segment.start - end
                    if speaker == last:
                        same.append(gap)
                    elif gap >= 0:
                        pauses.append(gap)
                    else:
                        overlaps.append(min(segment.end, end) - segment.start)
                # the next turn follows the one that ends last
                if previous is None or segment.end > previous[0]:
                    previous = segment.end, speaker
        changes = len(pauses) + len(overlaps)
        if not turns or not changes:
            raise ValueError(
                f"`files` must have conversations to measure, found {len(turns)} turns and "
                f"{changes} changes of speaker: give more of them."
            )
        return cls(
            turns=_round(turns),
            same_speaker_pauses=_round(gap for gap in same if gap <= MAX_PAUSE),
            change_pauses=_round(gap for gap in pauses if gap <= MAX_PAUSE),
            overlaps=_round(overlaps),
            overlap_probability=round(len(overlaps) / changes, 3),
            change_probability=round(changes / (changes + len(same)), 3),
        )

    def limited(self, max_turn: float) -> TurnStatistics:
        """Same statistics without turns and overlaps of more than `max_turn` seconds

        Conversations have more changes of speaker.
        """
        return replace(
            self,
            turns=tuple(turn for turn in self.turns if turn <= max_turn),
            overlaps=tuple(overlap for overlap in self.overlaps if overlap <= max_turn),
        )

    @classmethod
    def default(cls) -> TurnStatistics:
        """Statistics of 300 s of meetings: training set of the AMI excerpts of pyannote.audio"""
        return cls.load(DEFAULT)

    @classmethod
    def load(cls, path: Path) -> TurnStatistics:
        """Read a file that `save` wrote"""
        return cls.from_dict(yaml.safe_load(Path(path).read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        """Write as YAML"""
        Path(path).write_text(
            yaml.safe_dump(self.to_dict(), sort_keys=False, width=100), encoding="utf-8"
        )

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TurnStatistics:
        """Inverse of `to_dict`"""
        names = {field.name for field in fields(cls)}
        if not isinstance(plain, Mapping) or set(plain) != names:
            raise ValueError(f"Statistics must have {', '.join(sorted(names))}, found {plain!r}.")
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()
        }
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists"""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _round(durations: Iterable[float]) -> tuple[float, ...]:
    """Sort durations, and round them to 10 ms, which is also the minimum"""
    return tuple(sorted(max(0.01, round(float(duration), 2)) for duration in durations))
