"""Tables of diarizations"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import markdown_table

ACCURACY_COLUMNS = (
    "Pipeline",
    "DER (%)",
    "Missed",
    "False alarm",
    "Confusion",
    "Speakers",
    "Error per recording",
    "Turns",
)

# steps of pipelines with a column, by the name that hooks have for them. The others are in "All"
STEPS = {
    "segmentation": "Segmentation (s)",
    "embeddings": "Embeddings (s)",
    "discrete_diarization": "Clustering (s)",
}

TIME_COLUMNS = ("Pipeline", *STEPS.values(), "All (s)", "RTF", "Memory (MB)")

SPEEDS_COLUMNS = (*TIME_COLUMNS, "Speed-up over the first", "Turns that differ (%)")


def scores_markdown(results: Mapping[str, Any]) -> str:
    """Make two tables in Markdown, accuracy and time, with the same rows"""
    rows, truth = results["rows"], results["reference"]
    return (
        f"{results['machine']}. {results['data']}: {truth['recordings']} recordings, "
        f"{truth['duration']:.0f} s, {truth['speech']:.0f} s of speech, {truth['speakers']} "
        f"speakers, {truth['turns']} turns. {_parts(results['parts'])}.\n\nDER without collar, "
        "overlaps included, in annotated regions. Numbers of speakers are sums over recordings, "
        "and their error is the mean of absolute differences.\n\n"
        + markdown_table(ACCURACY_COLUMNS, [_accuracy(row) for row in rows])
        + f"\nPipelines take turns, recording by recording ({results['num_rounds']} timed "
        f"round{'s' if results['num_rounds'] > 1 else ''}). Memory is the peak of a process of "
        "their own, libraries included.\n\n"
        + markdown_table(TIME_COLUMNS, [_time(row) for row in rows])
    )


def _parts(parts: Mapping[str, Any]) -> str:
    """Describe what all pipelines have in common"""
    names = ("segmentation", "embedding", "clustering")
    options = ", ".join(f"{key} {value}" for key, value in parts.items() if key not in names)
    return (
        f"Segmentation {parts['segmentation']}, embedding {parts['embedding']}, "
        f"{parts['clustering']} ({options})"
    )


def _accuracy(row: Mapping[str, Any]) -> tuple[str, ...]:
    rates = [f"{100 * row[key]:.1f}" for key in ("der", "missed", "false_alarm", "confusion")]
    speakers = row["speakers"]
    found = f"{speakers['found']} of {speakers['true']}"
    return (row["name"], *rates, found, f"{speakers['mean_error']:.2f}", str(row["turns"]))


def _time(row: Mapping[str, Any]) -> tuple[str, ...]:
    steps = [f"{row['steps'][step]:.1f}" if step in row["steps"] else "" for step in STEPS]
    memory = "" if row["memory"] is None else f"{row['memory'] / 1e6:.0f}"
    return (
        row["name"],
        *steps,
        f"{row['seconds']:.1f}",
        f"{row['real_time_factor']:.4f}",
        memory,
    )


def diarization_markdown(results: Mapping[str, Any]) -> str:
    """Make a table in Markdown: time of each step, with both pipelines"""
    seconds, steps = results["seconds"], results["steps"]
    rows: Sequence[tuple[str, ...]] = [
        (step, f"{steps['stock'][step]:.1f}", f"{steps['ours'].get(step, 0.0):.1f}")
        for step in steps["stock"]
    ] + [("all", f"{seconds['stock']:.1f}", f"{seconds['ours']:.1f}")]
    agree = "the same" if results["same_diarization"] else "NOT the same"
    return (
        f"{results['machine']}. {results['name']}, {results['duration']:g} s of conversation.\n\n"
        + markdown_table(("Step", "pyannote.audio (s)", "pyannote-prune (s)"), rows, num_texts=1)
        + f"\n{results['ratio']:.2f} times faster; outputs are {agree}, embeddings within "
        f"{results['largest_difference_of_embeddings']:.1e}.\n"
    )


def speeds_markdown(results: Mapping[str, Any]) -> str:
    """Make a table in Markdown: time of each step, with each pipeline"""
    rows = results["rows"]
    first = rows[0]["seconds"]
    lines = [
        (*_time(row), f"{first / row['seconds']:.1f} x", f"{100 * row['difference']:.1f}")
        for row in rows
    ]
    return (
        f"{results['machine']}. {results['name']}, {results['duration']:g} s of conversation. Each "
        f"pipeline has a process of its own; they take turns, and the median of "
        f"{results['num_rounds']} rounds counts. The last column compares turns with those of the "
        "first row, as diarization error rates do.\n\n" + markdown_table(SPEEDS_COLUMNS, lines)
    )
