"""Figure of the units that pruning kept"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from ..wavlm.config import WavLMConfig
from ..wavlm.cost import cost
from .panels import BLUE, GREY, LIGHT, ORANGE, label_panel, make_panels, save_figure

CELL = 0.19  # inches: a layer, or a head


def plot_structure(before: WavLMConfig, after: WavLMConfig, path: Path) -> None:
    """Draw the units that an encoder kept, convolution by convolution and layer by layer

    Parameters
    ----------
    before, after : WavLMConfig
        Structure before and after pruning.
    path : Path
        File to write, in the format of its suffix (PNG, PDF, SVG...).

    Raises
    ------
    ValueError
        If numbers of convolutions or layers differ, or if Matplotlib has no such format.
    """
    for name in ("convolutions", "layers"):
        old, new = (len(getattr(config, name)) for config in (before, after))
        if old != new:
            raise ValueError(f"`after` must have as many `{name}` as `before`, {old}, found {new}.")
    width, height = max(2.5, CELL * before.num_layers), max(2.0, CELL * before.num_heads) + 1.6
    figure, (convolutions, heads, neurons) = make_panels([2.0, width, width], height)
    figure.suptitle(_summary(before, after), fontsize=11)
    _draw_bars(convolutions, *([c.channels for c in x.convolutions] for x in (before, after)))
    _draw_heads(heads, before, after)
    _draw_bars(neurons, *([layer.neurons for layer in x.layers] for x in (before, after)))
    label_panel(convolutions, "Convolution", "Channels", units=True)
    label_panel(heads, "Layer", "Attention head", units=True)
    label_panel(neurons, "Layer", "Feed-forward neurons", units=True)
    crosses = _cross(heads, [i for i, layer in enumerate(after.layers) if not layer.heads])
    crosses += _cross(neurons, [i for i, layer in enumerate(after.layers) if not layer.neurons])
    handles = [Patch(color=BLUE, label="kept"), Patch(color=LIGHT, label="removed"), *crosses[:1]]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    save_figure(figure, path)


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
    """Draw one cell per layer and head, at its index in the dense encoder"""
    cells = np.full((max(before.num_heads, after.num_heads), before.num_layers), np.nan)
    for i, (old, new) in enumerate(zip(before.layers, after.layers, strict=True)):
        cells[list(old.heads), i] = 0
        cells[list(new.heads), i] = 1
    y, x = (np.arange(size + 1) - 0.5 for size in cells.shape)
    cmap = ListedColormap([LIGHT, BLUE])
    axes.pcolormesh(x, y, cells, cmap=cmap, vmin=0, vmax=1, edgecolors="white", linewidth=1)


def _cross(axes: Axes, layers: list[int]) -> list:
    """Mark layers whose block was removed"""
    above: dict[str, Any] = {
        "transform": axes.get_xaxis_transform(),
        "clip_on": False,
        "linestyle": "none",
    }
    style: dict[str, Any] = {
        "marker": "x",
        "markeredgewidth": 1.8,
        "color": ORANGE,
        "label": "whole block removed",
    }
    return axes.plot(layers, [1.04] * len(layers), **above, **style) if layers else []
