"""Summary of a subset: durations, speakers, turns that were left out"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyannote.core import Annotation, Segment

from ..references import Turn

# longest segment that pyannote.core takes for an empty one, in seconds
EMPTY = 1e-6
# turns may end that much after their recording without being counted, in seconds
TOLERANCE = 0.1


@dataclass(frozen=True)
class Summary:
    """Summary of a subset

    Parameters
    ----------
    num_recordings : int
    duration, speech, overlap : float
        In seconds: of recordings, of speech, of overlapping speech.
    num_speakers : (int, int)
        Fewest and most speakers of a recording.
    num_empty : int
        Number of turns without duration, which were left out.
    late : dict of str to int
        Number of turns that end after their recording, by URI: they were cut or left out.
    """

    num_recordings: int
    duration: float
    speech: float
    overlap: float
    num_speakers: tuple[int, int]
    num_empty: int
    late: dict[str, int]


def fit(turns: Iterable[Turn], duration: float) -> list[Turn]:
    """Crop turns to the recording, and leave out turns without duration

    Examples
    --------
    >>> fit([Turn(1.0, 1.0, "A"), Turn(2.0, 4.0, "A"), Turn(5.0, 6.0, "B")], duration=3.0)
    [Turn(start=2.0, end=3.0, speaker='A')]
    """
    cut = (Turn(max(0.0, t.start), min(t.end, duration), t.speaker) for t in turns)
    return [turn for turn in cut if not is_empty(turn)]


def is_empty(turn: Turn) -> bool:
    return turn.end - turn.start <= EMPTY


def summarize_subset(
    references: Mapping[str, list[Turn]],
    turns: Mapping[str, list[Turn]],
    durations: Mapping[str, float],
) -> Summary:
    """Summarize a subset

    Parameters
    ----------
    references, turns : dict of list of Turn
        By URI: before and after `fit`.
    durations : dict of float
        Durations of the recordings of the subset, by URI, in seconds.
    """
    speech, overlap, num_speakers, num_empty, late = 0.0, 0.0, [], 0, {}
    for uri, duration in durations.items():
        annotation = Annotation(uri=uri)
        for track, turn in enumerate(turns[uri]):
            annotation[Segment(turn.start, turn.end), track] = turn.speaker
        speech += annotation.get_timeline().support().duration()
        overlap += annotation.get_overlap().duration()
        num_speakers.append(len(annotation.labels()))
        num_empty += sum(map(is_empty, references[uri]))
        too_long = [t for t in references[uri] if t.end > duration + TOLERANCE and not is_empty(t)]
        if too_long:
            late[uri] = len(too_long)
    return Summary(
        num_recordings=len(durations),
        duration=sum(durations.values()),
        speech=speech,
        overlap=overlap,
        num_speakers=(min(num_speakers, default=0), max(num_speakers, default=0)),
        num_empty=num_empty,
        late=late,
    )
