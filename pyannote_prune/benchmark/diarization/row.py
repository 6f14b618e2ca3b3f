"""Scores of one pipeline on all recordings"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pyannote.core import Annotation
from pyannote.metrics.diarization import DiarizationErrorRate

from ...data.protocol_files import reference_of
from ...pipeline.apply import Applied
from ...pipeline.scores import COMPONENTS, add_score, error_rates


def score(
    recordings: Sequence[Mapping[str, Any]], diarizations: Mapping[str, Annotation]
) -> dict[str, Any]:
    """Compare diarizations with references, in annotated regions

    Parameters
    ----------
    recordings : sequence of dict
        With references.
    diarizations : dict of Annotation
        One for each recording, by its name.

    Returns
    -------
    scores : dict
        "der", "missed", "false_alarm" and "confusion", as fractions of the duration of speech;
        "speakers", whose numbers are summed over recordings, and the mean absolute error of their
        number; "turns", their number; and "recordings", the scores of each one: also "speech", its
        duration, and "errors", the duration of each kind, in seconds.
    """
    metric, each = DiarizationErrorRate(), {}
    for recording in recordings:
        uri = recording["uri"]
        error = add_score(metric, Applied(recording, diarizations[uri]))
        assert error is None, error  # references were checked
        annotation, regions = reference_of(recording) or (Annotation(), None)
        found = diarizations[uri].crop(regions)
        components = metric.results_[-1][1]
        each[uri] = {
            "der": components[metric.name],
            "speech": components["total"],
            "errors": {key: components[name] for key, name in COMPONENTS.items()},
            "found": len(found.labels()),
            "true": len(annotation.crop(regions).labels()),
            "turns": sum(1 for _ in found.itertracks()),
        }
    counts = [(one["found"], one["true"]) for one in each.values()]
    return {
        **error_rates(metric),
        "speakers": {
            "found": sum(found for found, _ in counts),
            "true": sum(true for _, true in counts),
            "mean_error": statistics.fmean(abs(found - true) for found, true in counts),
        },
        "turns": sum(one["turns"] for one in each.values()),
        "recordings": each,
    }


def check_references(recordings: Sequence[Mapping[str, Any]]) -> None:
    """Check that all recordings have references

    Raises
    ------
    OSError, ValueError
        If one of them does not.
    """
    if not recordings:
        raise ValueError("`recordings` must not be empty, found none: choose another subset.")
    for recording in recordings:
        if reference_of(recording) is None:
            raise ValueError(
                "`protocol` must have references (`annotation`) to score against, found none of "
                f"{recording['uri']!r}: add them to `database.yml`."
            )


def summarize(recordings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count what references have in their annotated regions"""
    found = [reference_of(recording) for recording in recordings]
    cropped = [annotation.crop(regions) for annotation, regions in filter(None, found)]
    return {
        "recordings": len(cropped),
        "speech": sum(one.get_timeline().support().duration() for one in cropped),
        "speakers": sum(len(one.labels()) for one in cropped),
        "turns": sum(1 for one in cropped for _ in one.itertracks()),
    }
