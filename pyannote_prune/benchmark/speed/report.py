"""Tables of measurements"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ..tables import markdown_table

# batch size, length of windows in seconds, precision
Case: TypeAlias = tuple[int, float, str]

SPEED_COLUMNS = (
    "Network",
    "Precision",
    "Batch",
    "ms (quartiles)",
    "RTF",
    "Share of peak",
    "Memory (MB)",
    "Speed-up over the first",
)


def speed_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Make rows of the table, with cells in the order of SPEED_COLUMNS"""
    rows: list[tuple[str, ...]] = []
    first: dict[tuple[int, float], float] = {}
    for row in results["rows"]:
        case = (row["batch_size"], row["duration"])
        first.setdefault(case, row["seconds"])
        spread = f"{1e3 * row['lowest']:.0f} to {1e3 * row['highest']:.0f}"
        share = row["share_of_peak"]
        rows.append(
            (
                f"{row['name']}, {row['part']}",
                row["dtype"],
                f"{row['batch_size']} x {row['duration']:g} s",
                f"{1e3 * row['seconds']:.0f} ({spread})",
                f"{row['real_time_factor']:.4f}",
                "" if share is None else f"{share:.0%}",
                f"{row['memory'] / 1e6:.0f}",
                f"{first[case] / row['seconds']:.1f} x",
            )
        )
    return rows


def speed_markdown(results: Mapping[str, Any]) -> str:
    """Make a table in Markdown, with machine, peaks and deviations"""
    return _with_context(results, markdown_table(SPEED_COLUMNS, speed_rows(results), num_texts=3))


def engines_markdown(results: Mapping[str, Any]) -> str:
    """Make a table in Markdown with one row per network and engine, one column per case

    Times are compared with those of the first row of the same part (encoder, whole model), in the
    same case.
    """
    columns: list[Case] = []
    lines: dict[tuple[str, str], dict[Case, str]] = {}
    first: dict[tuple[str, int, float], float] = {}
    for row in sorted(results["rows"], key=lambda row: (row["batch_size"], row["duration"])):
        part, size, duration = row["part"], row["batch_size"], row["duration"]
        seconds = first.setdefault((part, size, duration), row["seconds"])
        column = (size, duration, row["dtype"])
        if column not in columns:
            columns.append(column)
        cell = f"{1e3 * row['seconds']:.0f} ({seconds / row['seconds']:.1f} x)"
        lines.setdefault((row["name"], part), {})[column] = cell
    titles = [f"{size} x {duration:g} s, {dtype} (ms)" for size, duration, dtype in columns]
    rows = [
        (f"{name}, {part}", *(found.get(column, "") for column in columns))
        for (name, part), found in lines.items()
    ]
    return _with_context(results, markdown_table(("Network", *titles), rows))


def _with_context(results: Mapping[str, Any], table: str) -> str:
    """Add machine, peaks and deviations to a table"""
    peaks = ", ".join(f"{2 * v / 1e9:.0f} GFLOP/s in {k}" for k, v in results["peak"].items())
    lines = [f"{results['machine']}. Peak of matrix products: {peaks}.", "", table]
    for name, found in results["deviations"].items():
        lines.append(
            f"{name} in bfloat16: log-probabilities within {found['log_probabilities']:.3f} of "
            f"float32, same class for {found['same_decisions']:.2%} of frames.\n"
        )
    return "\n".join(lines)


def training_markdown(results: Mapping[str, Any]) -> str:
    return (
        f"{results['machine']}. One step of distillation-pruning ({results['preset']}, "
        f"{results['batch_size']} x {results['duration']:g} s) takes "
        f"{results['step']['seconds']:.2f} s, {results['ratio']:.2f} times three forward passes of "
        f"`transformers` ({results['yardstick']['seconds']:.2f} s), and "
        f"{results['memory'] / 1e9:.1f} GB in addition to weights and optimizer states.\n"
    )
