"""Figure of an experiment"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...files.atomic import atomic_write
from .arms import METHODS
from .intervals import interval
from .report import errors_of, groups

# errors above this multiple of the dense model's error are written, not drawn: they would flatten
# all other curves
CEILING = 1.6

# one color and one marker per method (palette of Okabe and Ito)
STYLES = {
    "gates": ("#0072B2", "o"),
    "paper": ("#56B4E9", "v"),
    "scratch": ("#E69F00", "s"),
    "magnitude": ("#D55E00", "^"),
    "magnitude-layer": ("#CC79A7", "<"),
    "early": ("#009E73", "D"),
}


def plot(results: Mapping[str, Any], path: Path):
    """Draw DER against sparsity: means with their intervals, and all seeds

    Clustering is given. Errors far above the error of the dense model are written at the top
    instead.

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
    bounds = {group: interval(errors_of(arms, "test")) for group, arms in found.items()}
    for method, style in (("dense", "-"), ("longer", "--")):
        # some arms may not have been run
        if method not in found:
            continue
        level = bounds[method]
        options: dict[str, Any] = {"color": "#555555", "linewidth": 1.2, "linestyle": style}
        axes.axhline(100 * level.value, label=METHODS[method], **options)
        axes.axhspan(100 * level.low, 100 * level.high, color="#555555", alpha=0.1, linewidth=0)
    ceiling = CEILING * 100 * bounds["dense"].value
    curves: dict[str, list[tuple[float, str]]] = {}
    for method in STYLES:
        curve = sorted(
            (arms[0]["sparsity"], group)
            for group, arms in found.items()
            if arms[0]["method"] == method and arms[0]["objective"] == "parameters"
        )
        if curve:
            curves[method] = curve
    for index, (method, curve) in enumerate(curves.items()):
        color, marker = STYLES[method]
        # side by side, so that bars can be told apart
        shift = 0.5 * (index - (len(curves) - 1) / 2)
        places = [100 * sparsity + shift for sparsity, _ in curve]
        levels = [bounds[group] for _, group in curve]
        means = [100 * level.value for level in levels]
        bars = (
            [100 * (level.value - level.low) for level in levels],
            [100 * (level.high - level.value) for level in levels],
        )
        label, options = METHODS[method], {"color": color, "marker": marker, "linewidth": 1.4}
        axes.errorbar(places, means, yerr=bars, label=label, elinewidth=0.9, capsize=2, **options)
        for place, (_, group), mean in zip(places, curve, means, strict=True):
            rates = [100 * arm["test"]["der"] for arm in found[group]]
            axes.plot([place] * len(rates), rates, ".", color=color, alpha=0.6, markersize=5)
            if mean > ceiling:
                text: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 9}
                axes.text(place, ceiling, f"{mean:.0f} %", color=color, **text)
    lowest = min(100 * bound.low for bound in bounds.values())
    highest = max(100 * bound.high for bound in bounds.values())
    axes.set_ylim(0.9 * lowest, min(ceiling, 1.1 * highest))
    axes.set(xlabel="Parameters of WavLM that are removed (%)", ylabel="DER, held-out (%)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, ncols=3, loc="outside upper center")
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png")
