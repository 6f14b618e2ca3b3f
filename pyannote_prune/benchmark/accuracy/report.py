"""Table and figure of an experiment"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from ...files.atomic import atomic_write
from ..tables import markdown_table
from .arms import METHODS

# errors above this multiple of the dense model's error are written, not drawn: they would flatten
# all other curves
CEILING = 1.6

# one color and one marker per method (palette of Okabe and Ito)
STYLES = {
    "gates": ("#0072B2", "o"),
    "scratch": ("#E69F00", "s"),
    "magnitude": ("#D55E00", "^"),
    "early": ("#009E73", "D"),
}
COLUMNS = (
    "Arm",
    "Removed",
    "Seeds",
    "Parameters",
    "MACs / s",
    "RTF",
    "DER",
    "Missed",
    "False alarm",
    "Confusion",
    "Other domain DER",
)


def groups(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Group scored arms that differ only in their seed"""
    found: dict[str, list[dict[str, Any]]] = {}
    for arm in results["arms"]:
        if "test" in arm:
            found.setdefault(arm["group"], []).append(arm)
    return found


def rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Make rows of the table, with cells in the order of COLUMNS

    Parameters
    ----------
    results : dict
        Content of `results.json`.
    """
    order = list(METHODS)
    table = []
    for group, arms in sorted(
        groups(results).items(),
        key=lambda item: (item[1][0]["sparsity"], order.index(item[1][0]["method"])),
    ):
        first = arms[0]
        title = METHODS[first["method"]]
        if first["objective"] == "macs":
            title += f" ({first['sparsity']:.0%} of MACs)"
        other = [arm["out_of_domain"]["der"] for arm in arms if "out_of_domain" in arm]
        table.append(
            (
                title,
                f"{100 * statistics.mean(arm['removed'] for arm in arms):.1f} %",
                str(len(arms)),
                f"{statistics.mean(arm['parameters'] for arm in arms):,.0f}",
                f"{statistics.mean(arm['macs_per_second'] for arm in arms) / 1e6:.1f} M",
                f"{results['real_time_factors'][group]:.4f}",
                spread([arm["test"]["der"] for arm in arms]),
                *(
                    f"{100 * statistics.mean(arm['test'][name] for arm in arms):.1f}"
                    for name in ("missed", "false_alarm", "confusion")
                ),
                spread(other) if other else "",
            )
        )
    return table


def spread(rates: Sequence[float]) -> str:
    """Format a mean, and the standard deviation of several values, in percent"""
    mean = f"{100 * statistics.mean(rates):.1f}"
    return f"{mean} ± {100 * statistics.stdev(rates):.1f}" if len(rates) > 1 else mean


def rich_table(results: Mapping[str, Any]) -> Table:
    table = Table(title="Held-out conversations (%, mean ± standard deviation over seeds)")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "Arm" else "right")
    for row in rows(results):
        table.add_row(*row)
    return table


def markdown(results: Mapping[str, Any]) -> str:
    """Make a table in Markdown"""
    return markdown_table(COLUMNS, rows(results))


def plot(results: Mapping[str, Any], path: Path):
    """Draw DER against sparsity: means, and all seeds

    Errors far above the error of the dense model are written at the top instead.

    Parameters
    ----------
    results : dict
        Content of `results.json`, which must include the dense model.
    path : Path
        File to write, in PNG format.
    """
    figure = Figure(figsize=(7, 4.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    found = groups(results)
    for method, style in (("dense", "-"), ("longer", "--")):
        # some arms may not have been run
        if method not in found:
            continue
        level = [100 * arm["test"]["der"] for arm in found[method]]
        options: dict[str, Any] = {"color": "#555555", "linewidth": 1.2, "linestyle": style}
        axes.axhline(statistics.mean(level), label=METHODS[method], **options)
        if len(level) > 1:
            axes.axhspan(min(level), max(level), color="#555555", alpha=0.12, linewidth=0)
    ceiling = CEILING * 100 * statistics.mean(arm["test"]["der"] for arm in found["dense"])
    for shift, (method, (color, marker)) in enumerate(STYLES.items()):
        curve = sorted(
            (arms[0]["sparsity"], [100 * arm["test"]["der"] for arm in arms])
            for group, arms in found.items()
            if arms[0]["method"] == method and arms[0]["objective"] == "parameters"
        )
        if not curve:
            continue
        x = [100 * sparsity + 0.3 * (shift - 1.5) for sparsity, _ in curve]
        means = [statistics.mean(rates) for _, rates in curve]
        axes.plot(x, means, color=color, marker=marker, linewidth=1.4, label=METHODS[method])
        points = [(a, rate) for a, (_, rates) in zip(x, curve, strict=True) for rate in rates]
        axes.plot(*zip(*points, strict=True), ".", color=color, alpha=0.6, markersize=5)
        for place, mean in zip(x, means, strict=True):
            if mean > ceiling:
                text: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 9}
                axes.text(place, ceiling, f"{mean:.0f} %", color=color, **text)
    lowest = min(100 * arm["test"]["der"] for arms in found.values() for arm in arms)
    axes.set_ylim(0.9 * lowest, ceiling)
    axes.set(xlabel="Parameters of WavLM that are removed (%)", ylabel="DER, held-out (%)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, ncols=3, loc="outside upper center")
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png")
