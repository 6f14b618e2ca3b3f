"""Diarization error rates of recordings that have references"""

from __future__ import annotations

from pathlib import Path

from pyannote.metrics.diarization import DiarizationErrorRate

from ..data.protocol_files import reference_of
from ..files.atomic import atomic_write
from .apply import Applied, say

SCORES = "scores.csv"


def add_score(metric: DiarizationErrorRate, applied: Applied) -> str | None:
    """Count errors of a recording that has a reference

    Returns
    -------
    error : str or None
        What is wrong with the reference: errors were not counted.
    """
    try:
        reference = reference_of(applied.recording)
        if reference is not None:
            annotation, annotated = reference
            metric(annotation, applied.diarization, uem=annotated)
    # those of loaders of references
    except Exception as error:
        return str(error) if isinstance(error, OSError | ValueError) else say(error)
    return None


def write_scores(metric: DiarizationErrorRate, folder: Path) -> list[str]:
    """Write scores, if there are some, next to former ones of the same recordings that differ

    Returns
    -------
    lines : list of str
        What was written, for users.
    """
    path, lines = folder / SCORES, []
    text = metric.report().to_csv() if metric.results_ else ""
    kept = _keep(path, text)
    if text:
        with atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")
        rate = f"DER {abs(metric):.2%} over {len(metric.results_)} recordings"
        lines.append(f"{rate} (no collar, overlaps included): {path}")
    if kept is not None:
        lines.append(f"Former scores, of other references or recordings: {kept}")
    return lines


def _keep(path: Path, text: str) -> Path | None:
    """Give former scores another name, unless they are part of the new ones"""
    if not path.is_file():
        return None
    former = path.read_text(encoding="utf-8").splitlines()
    if all(line.startswith("TOTAL,") or line in text.splitlines() for line in former):
        return None
    number = 1
    while (kept := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    return path.rename(kept)
