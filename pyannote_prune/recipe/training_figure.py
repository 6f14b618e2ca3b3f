"""Figure of training curves"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from .panels import BLUE, GREEN, GREY, ORANGE, label_panel, make_panels, save_figure

PANEL, CHARACTER = 4.0, 0.07  # inches: width of a panel, of a letter

# title of a panel: factor of its values
PANELS = {"Loss": 1, "Sparsity (%)": 100, "Diarization error rate (%)": 100}

# column: panel, label, color, line width
CURVES = {
    "loss/train": ("Loss", "training", "#8CC4E3", 1.4),
    "loss/distillation": ("Loss", "distillation, training", "#F3B68C", 1.4),
    "loss/output": ("Loss", "output, training", "#99D8C7", 1.4),
    "loss/val": ("Loss", "validation", BLUE, 1.4),
    "loss/distillation/val": ("Loss", "distillation, validation", ORANGE, 1.4),
    "loss/output/val": ("Loss", "output, validation", GREEN, 1.4),
    "sparsity/target": ("Sparsity (%)", "target", "#CCCCCC", 5),
    "sparsity/expected": ("Sparsity (%)", "expected", BLUE, 1.4),
    "DiarizationErrorRate": ("Diarization error rate (%)", "validation", BLUE, 1.4),
}


def plot_training(metrics: Mapping[str, Path], path: Path) -> None:
    """Draw training curves: losses, sparsity, and diarization error rate

    Parameters
    ----------
    metrics : dict of Path
        File of Lightning's `CSVLogger` (`metrics.csv`) for each title of a stage, in order.
    path : Path
        File to write, in the format of its suffix (PNG, PDF, SVG...). Panels without any value are
        left out.

    Raises
    ------
    ValueError
        If there is no stage, or if a file is missing, cannot be read, or has nothing to draw.
    """
    if not metrics:
        raise ValueError("`metrics` must have at least one training stage, found none.")
    stages: list[StageCurves] = []
    for title, file in metrics.items():
        stages.append(_read(title, Path(file), stages[-1].end if stages else 0))
    logged = {CURVES[column][0] for stage in stages for column in stage.values}
    names = [name for name in PANELS if name in logged]
    figure, panels = make_panels([PANEL] * len(names), 3.8)
    figure.suptitle(_mark_stages(panels, stages), fontsize=9, parse_math=False, wrap=True)
    for axes, name in zip(panels, names, strict=True):
        _draw_curves(axes, name, stages)
    save_figure(figure, path)


@dataclass(frozen=True)
class StageCurves:
    """Curves of one training stage: title, steps (counted from the first stage), logged values"""

    title: str
    start: int
    end: int
    values: dict[str, list[tuple[int, float]]]  # (step, value) pairs of each column


def _read(title: str, file: Path, start: int) -> StageCurves:
    values: dict[str, list[tuple[int, float]]] = {}
    steps = [0]
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                steps.append(int(row["step"]))
                for column in filter(row.get, CURVES):  # cells are empty when nothing was logged
                    values.setdefault(column, []).append((start + steps[-1], float(row[column])))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{file} is not a log of `CSVLogger`: {error!r}.") from error
    if not values:
        raise ValueError(f"{file} must have values of at least one of {', '.join(CURVES)}.")
    return StageCurves(title, start, start + max(steps) + 1, values)


def _draw_curves(axes: Axes, name: str, stages: Sequence[StageCurves]):
    for column, (panel, label, color, width) in CURVES.items():
        for stage in stages:
            if panel == name and column in stage.values:
                x, y = np.array(stage.values[column]).T
                points: dict[str, Any] = {"marker": "o", "markersize": 3} if len(x) <= 40 else {}
                axes.plot(x, PANELS[name] * y, color=color, linewidth=width, label=label, **points)
                label = ""  # once in the legend
    label_panel(axes, "Training step", name, units=False)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=8, frameon=False)


def _mark_stages(panels: Sequence[Axes], stages: Sequence[StageCurves]) -> str:
    """Write titles above stages, or numbers where titles are too long: then return their legend"""
    total = stages[-1].end
    inch = total / (0.8 * PANEL)  # number of steps
    fits = all(CHARACTER * len(s.title) * inch < s.end - s.start for s in stages)
    labels = [s.title if fits else str(i) for i, s in enumerate(stages, start=1)]
    gaps = 0.15 * inch * np.arange(len(stages))  # for numbers of very short stages
    where = np.maximum.accumulate([(s.start + s.end) / 2 for s in stages] - gaps) + gaps
    for axes in panels:
        above: dict[str, Any] = {
            "transform": axes.get_xaxis_transform(),
            "ha": "center",
            "fontsize": 8,
        }
        for x, label, stage in zip(where, labels, stages, strict=True):
            axes.text(x, 1.03, label, parse_math=False, **above)
            if stage.start:
                axes.axvline(stage.start, color=GREY, linewidth=0.8, zorder=0)
        axes.set_xlim(-0.02 * total, 1.02 * total)
    return "" if fits else "     ".join(f"{i} {s.title}" for i, s in enumerate(stages, start=1))
