"""Score and time pipelines on a protocol"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from ...data.decoding import get_duration
from ..speed.experiment import describe_machine
from .in_turn import diarize_in_turn
from .others import Other
from .parts import Parts
from .row import check_references, score, summarize
from .variants import Variant
from .worker import Diarized, start_process


def score_diarization(
    recordings: Sequence[Mapping[str, Any]],
    parts: Parts,
    variants: Mapping[str, Variant],
    others: Sequence[Other] = (),
    num_rounds: int = 1,
    report: Callable[[str, Diarized], None] = lambda name, found: None,
    start: Callable[[], Executor] = start_process,
) -> dict[str, Any]:
    """Diarize recordings with pipelines from the same parts, and score them

    Each pipeline has a process of its own. They take turns, recording by recording, so that a busy
    machine slows all of them down alike.

    Parameters
    ----------
    recordings : sequence of ProtocolFile
        With references.
    parts : Parts
    variants : dict of Variant
        Pipelines, by name.
    others : sequence of Other, optional
        Results of other programs.
    num_rounds : int, optional
        Number of timed rounds, of which the median counts. The first is scored. Defaults to 1.
    report : callable, optional
        Called with the name of a pipeline and each of its results.
    start : callable, optional
        Starts the process of a pipeline.

    Returns
    -------
    results : dict
        Machine, parts, what references have ("reference"), and one row per pipeline or program:
        see `score`, besides "seconds", "steps" (seconds of each), "real_time_factor", "memory"
        (peak, in bytes).

    Raises
    ------
    OSError, ValueError
        If a part, a reference or a file of other results is missing, or if a pipeline fails.
    """
    check(recordings, parts, variants, others)
    duration = sum(get_duration(recording) for recording in recordings)
    results: dict[str, list[Diarized]] = {name: [] for name in variants}
    for name, found in diarize_in_turn(recordings, parts, variants, num_rounds, report, start):
        results[name].append(found)
    rows = [_row(name, recordings, found, duration) for name, found in results.items()]
    rows += [_other_row(other, recordings, duration) for other in others]
    return {
        "machine": describe_machine(parts.device),
        "parts": parts.describe(),
        "num_rounds": num_rounds,
        "reference": {"duration": duration, **summarize(recordings)},
        "rows": rows,
    }


def check(
    recordings: Sequence[Mapping[str, Any]],
    parts: Parts,
    variants: Mapping[str, Variant],
    others: Sequence[Other],
) -> None:
    """Check everything that can be checked before anything is diarized

    Raises
    ------
    OSError, ValueError
        See `score_diarization`.
    """
    names = [*variants, *(other.name for other in others)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            f"`--other` must have names that differ from those of other rows, found "
            f"{min(twice)!r} twice: choose another name."
        )
    if variants and not parts.has_embedding:
        raise ValueError(
            "`--embedding` must be given to score diarizations, found none: give the folder, the "
            "checkpoint or the ONNX file of a speaker embedding, or a pipeline folder as "
            "`--segmentation`."
        )
    parts.check()
    check_references(recordings)
    for other in others:
        other.check(recording["uri"] for recording in recordings)


def _row(
    name: str, recordings: Sequence[Mapping[str, Any]], found: Sequence[Diarized], duration: float
) -> dict[str, Any]:
    """Row of a pipeline, from its diarizations in all rounds"""
    rounds: dict[str, list[Diarized]] = {recording["uri"]: [] for recording in recordings}
    for one in found:
        rounds[one.recording["uri"]].append(one)
    row = score(recordings, {uri: first.diarization for uri, (first, *_) in rounds.items()})
    steps: dict[str, float] = {}
    for uri, several in rounds.items():
        row["recordings"][uri]["seconds"] = statistics.median(one.seconds for one in several)
        for step in several[0].steps:
            median = statistics.median(one.steps.get(step, 0.0) for one in several)
            steps[step] = steps.get(step, 0.0) + median
    seconds = sum(one["seconds"] for one in row["recordings"].values())
    memory = max(one.memory for one in found)
    return {"name": name, **row, **_time(seconds, duration), "steps": steps, "memory": memory}


def _other_row(
    other: Other, recordings: Sequence[Mapping[str, Any]], duration: float
) -> dict[str, Any]:
    """Row of another program"""
    row = score(recordings, {one["uri"]: other.read(one["uri"]) for one in recordings})
    time = _time(other.seconds, duration)
    return {"name": other.name, **row, **time, "steps": {}, "memory": None}


def _time(seconds: float, duration: float) -> dict[str, float]:
    return {"seconds": seconds, "real_time_factor": seconds / duration}
