"""Diarization error rates of recordings that have references"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyannote.metrics.diarization import DiarizationErrorRate

from ..data.protocol_files import may_have_reference, reference_of
from ..files.atomic import atomic_write
from ..files.locks import updating
from .apply import Applied, one_line, read_result, result_path

SCORES = "scores.csv"

# kinds of errors, and their names in pyannote.metrics
COMPONENTS = {"missed": "missed detection", "false_alarm": "false alarm", "confusion": "confusion"}


def add_score(metric: DiarizationErrorRate, applied: Applied) -> str | None:
    """Add a recording to a metric, if it has a reference

    Returns
    -------
    error : str or None
        Reason why the reference cannot be used: the recording was not added.
    """
    try:
        reference = reference_of(applied.recording)
        if reference is not None:
            annotation, annotated = reference
            metric(annotation, applied.diarization, uem=annotated)
    # loaders of references raise errors of any kind
    except Exception as error:
        return str(error) if isinstance(error, OSError | ValueError) else one_line(error)
    return None


def error_rates(metric: DiarizationErrorRate) -> dict[str, float]:
    """Diarization error rate over all recordings, and its components

    Returns
    -------
    rates : dict of float
        "der" and its three components (see COMPONENTS), as fractions of the duration of speech.
    """
    each: Any = metric  # its type says that items may be of two types
    total = each["total"]
    return {"der": abs(metric)} | {key: each[name] / total for key, name in COMPONENTS.items()}


def write_scores(metric: DiarizationErrorRate, folder: Path) -> list[str]:
    """Write scores, and keep former ones that differ under another name

    Returns
    -------
    lines : list of str
        Summary for users: error rate, and files that were written or kept.
    """
    with updating(folder):
        return _write_scores(metric, folder)


def write_scores_of_all(recordings: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Write scores of all recordings as soon as all of them have results

    Every part calls it at its end: the one that has completed the results writes the scores.

    Parameters
    ----------
    recordings : list of dict
        Recordings of all parts.
    folder : Path
        Folder of results.

    Returns
    -------
    lines : list of str
        Summary for users: see `write_scores`. Before, how many results are missing.
    """
    # no other part removes results of recordings that have changed in the meantime
    with updating(folder):
        paths = [result_path(folder, one["uri"]) for one in recordings]
        if missing := sum(not path.exists() for path in paths):
            line = f"{missing} of {len(recordings)} recordings of all parts have no results yet."
            if any(map(may_have_reference, recordings)):
                line += f" {SCORES} comes with the last one, or from a run without --part."
            return [line]
        metric = DiarizationErrorRate()
        for recording, path in zip(recordings, paths, strict=True):
            if may_have_reference(recording):
                # the part of a recording reports what is wrong with its reference or its result
                with contextlib.suppress(OSError, ValueError):
                    add_score(metric, Applied(recording, read_result(path, recording["uri"])))
        return _write_scores(metric, folder)


def rate(metric: DiarizationErrorRate) -> str:
    """Error rate, and how many recordings it is of"""
    number = len(metric.results_)
    return f"DER {abs(metric):.2%} over {number} recording{'' if number == 1 else 's'}"


def _write_scores(metric: DiarizationErrorRate, folder: Path) -> list[str]:
    path, lines = folder / SCORES, []
    text = metric.report().to_csv() if metric.results_ else ""
    kept = _keep(path, text)
    if text:
        with atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")
        lines.append(f"{rate(metric)} (no collar, overlaps included): {path}")
    if kept is not None:
        lines.append(f"Former scores, of other references or recordings: {kept}")
    return lines


def _keep(path: Path, text: str) -> Path | None:
    """Rename the file of former scores, unless the new ones include them"""
    if not path.is_file():
        return None
    former = path.read_text(encoding="utf-8").splitlines()
    if all(line.startswith("TOTAL,") or line in text.splitlines() for line in former):
        return None
    number = 1
    while (kept := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    return path.rename(kept)
