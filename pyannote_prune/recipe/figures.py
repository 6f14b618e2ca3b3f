"""Figures: what pruning kept, and how training went"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from ..files.atomic import atomic_write
from ..wavlm.config import WavLMConfig
from ..wavlm.cost import cost

# palette of Okabe and Ito, "Color Universal Design"
BLUE, ORANGE, LIGHT, GREY = "#0072B2", "#D55E00", "#E6E6E6", "#A6A6A6"


CELL, PANEL, CHARACTER = 0.19, 4.0, 0.07  # inches: a layer or head, a panel of curves, a letter


PANELS = {"Loss": 1, "Sparsity (%)": 100, "Diarization error rate (%)": 100}  # and their scale


CURVES = {  # column: panel, label, color, line width
    "loss/train": ("Loss", "training", "#8CC4E3", 1.4),
    "loss/distillation": ("Loss", "distillation, training", "#F3B68C", 1.4),
    "loss/val": ("Loss", "validation", BLUE, 1.4),
    "loss/distillation/val": ("Loss", "distillation, validation", ORANGE, 1.4),
    "sparsity/target": ("Sparsity (%)", "target", "#CCCCCC", 5),
    "sparsity/expected": ("Sparsity (%)", "expected", BLUE, 1.4),
    "DiarizationErrorRate": ("Diarization error rate (%)", "validation", BLUE, 1.4),
}


def plot_structure(before: WavLMConfig, after: WavLMConfig, path: Path) -> None:
    """Draw what is left of an encoder, convolution by convolution and layer by layer

    Parameters
    ----------
    before, after : WavLMConfig
        Structure before and after pruning.
    path : Path
        Where to write the figure, in the format of its suffix (PNG, PDF, SVG...).

    Raises
    ------
    ValueError
        If numbers of convolutions or numbers of layers differ, or if there is no such format.
    """
    for name in ("convolutions", "layers"):
        old, new = (len(getattr(config, name)) for config in (before, after))
        if old != new:
            raise ValueError(f"`after` must have as many `{name}` as `before`, {old}, found {new}.")
    width, height = max(2.5, CELL * before.num_layers), max(2.0, CELL * before.num_heads) + 1.6
    figure, (convolutions, heads, neurons) = _panels([2.0, width, width], height)
    figure.suptitle(_summary(before, after), fontsize=11)
    _draw_bars(convolutions, *([c.channels for c in x.convolutions] for x in (before, after)))
    _draw_heads(heads, before, after)
    _draw_bars(neurons, *([layer.neurons for layer in x.layers] for x in (before, after)))
    _label(convolutions, "Convolution", "Channels", units=True)
    _label(heads, "Layer", "Attention head", units=True)
    _label(neurons, "Layer", "Feed-forward neurons", units=True)
    crosses = _cross(heads, [i for i, layer in enumerate(after.layers) if not layer.heads])
    crosses += _cross(neurons, [i for i, layer in enumerate(after.layers) if not layer.neurons])
    handles = [Patch(color=BLUE, label="kept"), Patch(color=LIGHT, label="removed"), *crosses[:1]]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    with atomic_write(path) as draft:
        figure.savefig(draft, format=_format(path))


def plot_training(metrics: Mapping[str, Path], path: Path) -> None:
    """Draw training curves: losses, sparsity, and diarization error rate

    Parameters
    ----------
    metrics : dict of Path
        What Lightning's `CSVLogger` wrote (`metrics.csv`) in each stage: title to file, in order.
    path : Path
        Where to write the figure, in the format of its suffix (PNG, PDF, SVG...). Panels that no
        stage has values for are left out.

    Raises
    ------
    ValueError
        If there is no stage, or if a file is missing, cannot be read, or has nothing to draw.
    """
    if not metrics:
        raise ValueError("`metrics` must have at least one training stage, found none.")
    stages: list[Stage] = []
    for title, file in metrics.items():
        stages.append(_read(title, Path(file), stages[-1].end if stages else 0))
    logged = {CURVES[column][0] for stage in stages for column in stage.values}
    names = [name for name in PANELS if name in logged]
    figure, panels = _panels([PANEL] * len(names), 3.8)
    figure.suptitle(_mark_stages(panels, stages), fontsize=9, parse_math=False, wrap=True)
    for axes, name in zip(panels, names, strict=True):
        _draw_curves(axes, name, stages)
    with atomic_write(path) as draft:
        figure.savefig(draft, format=_format(path))


@dataclass(frozen=True)
class Stage:
    """One training stage: its steps, counted from the first stage on, and values it logged"""

    title: str
    start: int
    end: int
    values: dict[str, list[tuple[int, float]]]  # (step, value) pairs of each column


def _format(path: Path) -> str:
    """Format of a figure, which Matplotlib refuses if it does not write it"""
    return Path(path).suffix[1:] or "png"


def _panels(widths: Sequence[float], height: float) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(sum(widths) + 1.5, height), dpi=150, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08, wspace=0.03)
    return figure, figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]


def _label(axes: Axes, x: str, y: str, units: bool):
    axes.set(xlabel=x, ylabel=y)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    for axis, bins, integer in ((axes.xaxis, 10 if units else 6, True), (axes.yaxis, 8, units)):
        axis.set_major_locator(MaxNLocator(bins, integer=integer, steps=[1, 2, 5, 10]))


def _summary(before: WavLMConfig, after: WavLMConfig) -> str:
    show, parts = EngFormatter(places=2), []
    for name, field in (("parameters", "parameters"), ("MACs / s", "macs_per_second")):
        old, new = (getattr(cost(config), field) for config in (before, after))
        parts.append(f"{show(old)} → {show(new)} {name} ({1 - new / old:.1%} sparsity)")
    return "      ".join(parts)


def _draw_bars(axes: Axes, before: Sequence[int], after: Sequence[int]):
    axes.bar(range(len(before)), before, color=LIGHT, edgecolor=GREY, linewidth=0.5)
    axes.bar(range(len(after)), after, color=BLUE)
    axes.margins(x=0.02)


def _draw_heads(axes: Axes, before: WavLMConfig, after: WavLMConfig):
    """One cell per layer and head, at its index in the dense encoder"""
    cells = np.full((max(before.num_heads, after.num_heads), before.num_layers), np.nan)
    for i, (old, new) in enumerate(zip(before.layers, after.layers, strict=True)):
        cells[list(old.heads), i] = 0
        cells[list(new.heads), i] = 1
    y, x = (np.arange(size + 1) - 0.5 for size in cells.shape)
    cmap = ListedColormap([LIGHT, BLUE])
    axes.pcolormesh(x, y, cells, cmap=cmap, vmin=0, vmax=1, edgecolors="white", linewidth=1)


def _cross(axes: Axes, layers: list[int]) -> list:
    """Mark layers whose block is gone"""
    above = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linestyle": "none"}
    style = {"marker": "x", "markeredgewidth": 1.8, "color": ORANGE, "label": "whole block removed"}
    return axes.plot(layers, [1.04] * len(layers), **above, **style) if layers else []


def _read(title: str, file: Path, start: int) -> Stage:
    values, steps = {}, [0]
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                steps.append(int(row["step"]))
                for column in filter(row.get, CURVES):  # cells are empty when nothing was logged
                    values.setdefault(column, []).append((start + steps[-1], float(row[column])))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{file} is not what `CSVLogger` writes: {error!r}.") from error
    if not values:
        raise ValueError(f"{file} must have values of at least one of {', '.join(CURVES)}.")
    return Stage(title, start, start + max(steps) + 1, values)


def _draw_curves(axes: Axes, name: str, stages: Sequence[Stage]):
    for column, (panel, label, color, width) in CURVES.items():
        for stage in stages:
            if panel == name and column in stage.values:
                x, y = np.array(stage.values[column]).T
                points = {"marker": "o", "markersize": 3} if len(x) <= 40 else {}
                axes.plot(x, PANELS[name] * y, color=color, linewidth=width, label=label, **points)
                label = ""  # once in the legend
    _label(axes, "Training step", name, units=False)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=8, frameon=False)


def _mark_stages(panels: Sequence[Axes], stages: Sequence[Stage]) -> str:
    """Write titles above stages, or else their numbers: then return what these stand for"""
    total = stages[-1].end
    inch = total / (0.8 * PANEL)  # number of steps
    fits = all(CHARACTER * len(s.title) * inch < s.end - s.start for s in stages)
    labels = [s.title if fits else str(i) for i, s in enumerate(stages, start=1)]
    gaps = 0.15 * inch * np.arange(len(stages))  # for numbers of very short stages
    where = np.maximum.accumulate([(s.start + s.end) / 2 for s in stages] - gaps) + gaps
    for axes in panels:
        above = {"transform": axes.get_xaxis_transform(), "ha": "center", "fontsize": 8}
        for x, label, stage in zip(where, labels, stages, strict=True):
            axes.text(x, 1.03, label, parse_math=False, **above)
            if stage.start:
                axes.axvline(stage.start, color=GREY, linewidth=0.8, zorder=0)
        axes.set_xlim(-0.02 * total, 1.02 * total)
    return "" if fits else "     ".join(f"{i} {s.title}" for i, s in enumerate(stages, start=1))
