"""Tables of an experiment"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from ..tables import markdown_table
from .arms import METHODS, PAIRS
from .intervals import Errors, Interval, difference, interval

# sets of conversations, as keys of results, and as tables name them
TESTS = {"test": "clustering given", "diarization": "whole diarization"}

COMPONENTS = ("missed", "false_alarm", "confusion")

SIZE_COLUMNS = (
    "Arm",
    "Removed",
    "MACs removed",
    "Removed, with head",
    "Off target",
    "Parameters of WavLM",
    "RTF",
)
COLUMNS = (
    "Arm",
    "Removed",
    "Seeds",
    "DER",
    "Missed",
    "False alarm",
    "Confusion",
    "Other domain DER",
)
WHOLE_COLUMNS = (
    "Arm",
    "Removed",
    "Seeds",
    "DER",
    "Missed",
    "False alarm",
    "Confusion",
    "Speakers found",
    "True",
    "Mean error of number",
)
PAIR_COLUMNS = ("Arm", "Minus", "Test", "Seeds", "Difference of DER", "Excludes 0")


def groups(results: Mapping[str, Any], test: str = "test") -> dict[str, list[dict[str, Any]]]:
    """Group scored arms that differ only in their seed, in the order of tables

    Parameters
    ----------
    results : dict
        Content of `results.json`.
    test : str, optional
        Key of the scores that they must have. Defaults to those where clustering is given.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    order = list(METHODS)
    for arm in sorted(
        results["arms"], key=lambda arm: (arm["sparsity"], order.index(arm["method"]))
    ):
        if test in arm:
            found.setdefault(arm["group"], []).append(arm)
    return found


def errors_of(arms: Sequence[Mapping[str, Any]], test: str) -> Errors:
    """Errors of arms that differ only in their seed, in each conversation of a test"""
    recordings = [arm[test]["recordings"] for arm in arms]
    speech = np.array([one["speech"] for one in recordings[0].values()])
    seconds = [
        [sum(found[uri]["errors"].values()) for uri in recordings[0]] for found in recordings
    ]
    return Errors(np.array(seconds), speech)


def compare(
    found: Mapping[str, list[dict[str, Any]]], first: str, second: str, test: str
) -> Interval:
    """Bound the difference of two groups, first minus second, with the seeds that both have"""
    common = {arm["seed"] for arm in found[first]} & {arm["seed"] for arm in found[second]}
    one, other = (
        sorted((a for a in found[group] if a["seed"] in common), key=lambda arm: arm["seed"])
        for group in (first, second)
    )
    return difference(errors_of(one, test), errors_of(other, test))


def off_target(arm: Mapping[str, Any]) -> float:
    """Difference between the sparsity that was reached and the one that was asked for"""
    keys = {"parameters": "removed", "macs": "removed_macs"}
    key = "removed_model" if arm["method"] == "whole" else keys[arm["objective"]]
    return arm[key] - arm["sparsity"]


def title_of(arm: Mapping[str, Any], with_sparsity: bool = False) -> str:
    """Name an arm, whatever its seed"""
    title, share = METHODS[arm["method"]], f"{100 * arm['sparsity']:g} %"
    if arm["objective"] == "macs":
        return f"{title} ({share} of MACs)"
    return f"{title}, {share}" if with_sparsity and arm["sparsity"] else title


def size_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Make rows of the table of sizes, with cells in the order of SIZE_COLUMNS

    Parameters
    ----------
    results : dict
        Content of `results.json`.
    """
    table: list[tuple[str, ...]] = []
    for group, arms in groups(results).items():
        worst = max((off_target(arm) for arm in arms), key=abs)
        table.append(
            (
                title_of(arms[0]),
                *(
                    percent(arm[key] for arm in arms)
                    for key in ("removed", "removed_macs", "removed_model")
                ),
                f"{100 * worst:+.2f}" if arms[0]["sparsity"] else "",
                f"{statistics.mean(arm['parameters'] for arm in arms):,.0f}",
                f"{results['real_time_factors'][group]:.4f}",
            )
        )
    return table


def rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Make rows of the table of error rates, with cells in the order of COLUMNS

    Parameters
    ----------
    results : dict
        Content of `results.json`.
    """
    table: list[tuple[str, ...]] = []
    for arms in groups(results).values():
        other = [arm["out_of_domain"]["der"] for arm in arms if "out_of_domain" in arm]
        table.append(
            (
                title_of(arms[0]),
                percent(arm["removed"] for arm in arms),
                str(len(arms)),
                *_rates(arms, "test"),
                spread(other) if other else "",
            )
        )
    return table


def whole_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Make rows of the table of whole diarizations: none if there was no embedding"""
    table: list[tuple[str, ...]] = []
    for arms in groups(results, "diarization").values():
        speakers = [arm["diarization"]["speakers"] for arm in arms]
        table.append(
            (
                title_of(arms[0]),
                percent(arm["removed"] for arm in arms),
                str(len(arms)),
                *_rates(arms, "diarization"),
                f"{statistics.mean(one['found'] for one in speakers):.1f}",
                f"{statistics.mean(one['true'] for one in speakers):.0f}",
                f"{statistics.mean(one['mean_error'] for one in speakers):.2f}",
            )
        )
    return table


def pair_rows(
    results: Mapping[str, Any], pairs: Sequence[tuple[str, str]] = PAIRS
) -> list[tuple[str, ...]]:
    """Make rows of the table of differences, of the groups of arms that there are"""
    table: list[tuple[str, ...]] = []
    for test, name in TESTS.items():
        found = groups(results, test)
        for first, second in pairs:
            if first in found and second in found:
                bound = compare(found, first, second, test)
                seeds = str(bound.num_seeds) if bound.num_seeds > 1 else "1 (conversations only)"
                clear = "yes" if bound.excludes_zero else "no"
                titles = (title_of(found[group][0], True) for group in (first, second))
                table.append((*titles, name, seeds, points(bound, sign="+"), clear))
    return table


def _rates(arms: Sequence[Mapping[str, Any]], test: str) -> list[str]:
    """Error rate with its interval, and its components"""
    means = [statistics.mean(arm[test][name] for arm in arms) for name in COMPONENTS]
    return [points(interval(errors_of(arms, test))), *(f"{100 * mean:.1f}" for mean in means)]


def points(bound: Interval, sign: str = "") -> str:
    """Format a value and its interval, in percent"""
    value, low, high = (f"{100 * x:{sign}.1f}" for x in (bound.value, bound.low, bound.high))
    return f"{value} [{low}, {high}]"


def percent(shares: Iterable[float]) -> str:
    """Format the mean of shares"""
    return f"{100 * statistics.mean(shares):.1f} %"


def spread(rates: Sequence[float]) -> str:
    """Format a mean, and the standard deviation of several values, in percent"""
    mean = f"{100 * statistics.mean(rates):.1f}"
    return f"{mean} ± {100 * statistics.stdev(rates):.1f}" if len(rates) > 1 else mean


def _tables(results: Mapping[str, Any]) -> list[tuple[str, Sequence[str], list[tuple[str, ...]]]]:
    """Title, columns and rows of each table that has rows"""
    all_tables = [
        ("Sizes", SIZE_COLUMNS, size_rows(results)),
        ("Clustering given (%, with 95 % intervals)", COLUMNS, rows(results)),
        ("Whole diarization (%, with 95 % intervals)", WHOLE_COLUMNS, whole_rows(results)),
        ("Differences (points, with 95 % intervals)", PAIR_COLUMNS, pair_rows(results)),
    ]
    return [table for table in all_tables if table[2]]


def rich_tables(results: Mapping[str, Any]) -> list[Table]:
    tables = []
    for title, columns, cells in _tables(results):
        table = Table(title=title)
        for name in columns:
            is_text = name in ("Arm", "Minus", "Test")
            table.add_column(name, justify="left" if is_text else "right")
        for row in cells:
            table.add_row(*row)
        tables.append(table)
    return tables


def markdown(results: Mapping[str, Any]) -> str:
    """Make tables in Markdown, and what they come from"""
    parts: list[str] = [
        f"{title}:\n\n{markdown_table(columns, cells, 3 if columns is PAIR_COLUMNS else 1)}"
        for title, columns, cells in _tables(results)
    ]
    return "\n".join([*parts, _origin(results)])


def _origin(results: Mapping[str, Any]) -> str:
    """Sentences below the tables"""
    lines = [
        "Intervals: conversations are resampled, and seeds where there are several of them. "
        "Differences: of the seeds that both have.",
        f"{results['speakers']}.",
    ]
    if options := results.get("diarization"):
        lines.append(
            f"Whole diarization: threshold {options['threshold']:g}, clusters of "
            f"{options['min_cluster_size']} embeddings at least, windows that advance by "
            f"{options['step']:.0%} of their length."
        )
    lines.append(
        f"{results['seconds'] / 3600:.1f} hours of arms, {results['num_jobs']} at a time, on "
        f"{results['machine']}, pyannote-prune {results['version']}."
    )
    return "".join(f"- {line}\n" for line in lines)
