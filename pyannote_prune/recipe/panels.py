"""Panels that figures share: colors, axes, and files"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from ..files.atomic import atomic_write

# palette of Okabe and Ito, "Color Universal Design"
BLUE, ORANGE, GREEN, LIGHT, GREY = "#0072B2", "#D55E00", "#009E73", "#E6E6E6", "#A6A6A6"


def make_panels(widths: Sequence[float], height: float) -> tuple[Figure, Sequence[Axes]]:
    """Make a row of panels

    Parameters
    ----------
    widths : sequence of float
        One for each panel, in inches.
    height : float
        In inches.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08, wspace=0.03)
    figure = Figure(figsize=(sum(widths) + 1.5, height), dpi=150, layout=layout)
    return figure, figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]


def label_panel(axes: Axes, x: str, y: str, units: bool):
    """Label axes, and choose their ticks

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x, y : str
        Labels.
    units : bool
        Whether both axes count units, hence have ticks at integers.
    """
    axes.set(xlabel=x, ylabel=y)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    for axis, bins, integer in ((axes.xaxis, 10 if units else 6, True), (axes.yaxis, 8, units)):
        axis.set_major_locator(MaxNLocator(bins, integer=integer, steps=[1, 2, 5, 10]))


def save_figure(figure: Figure, path: Path):
    """Write a figure in the format of its suffix, by default PNG

    Raises
    ------
    ValueError
        If Matplotlib has no such format.
    """
    with atomic_write(path) as draft:
        figure.savefig(draft, format=Path(path).suffix[1:] or "png")
