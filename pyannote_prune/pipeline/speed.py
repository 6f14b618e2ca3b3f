"""Named compromises between speed and accuracy"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..files.messages import did_you_mean
from ..onnx.engines import AUTO, BFLOAT16
from .settings import DiarizationSettings

FASTEST_ENGINES = {"segmentation_engine": AUTO, "embedding_engine": AUTO}
IN_BFLOAT16 = {"segmentation_dtype": BFLOAT16, "embedding_dtype": BFLOAT16}

# over longer ones, hardly less would be computed twice
STRETCHES = {"embedding_stretch": 60.0}

# options of `DiarizationPipeline`. Each window of speech passes once through segmentation: time is
# proportional to 1 / step. So is that of embeddings that are not computed over stretches
SPEEDS: dict[str, dict[str, Any]] = {
    "exact": FASTEST_ENGINES,
    "balanced": {"segmentation_step": 0.15} | FASTEST_ENGINES | IN_BFLOAT16 | STRETCHES,
    "fast": {"segmentation_step": 0.25} | FASTEST_ENGINES | IN_BFLOAT16 | STRETCHES,
}


def options_at(speed: str | None) -> dict[str, Any]:
    """Options of `DiarizationPipeline` at a speed, none for None

    Raises
    ------
    ValueError
        If there is no such speed.
    """
    if speed is None:
        return {}
    if speed not in SPEEDS:
        raise ValueError(
            f"`speed` must be one of {', '.join(map(repr, SPEEDS))}, found {speed!r}"
            f"{did_you_mean(speed, SPEEDS)}."
        )
    return SPEEDS[speed]


def at_speed(settings: DiarizationSettings, speed: str) -> DiarizationSettings:
    """Change settings to those of a speed

    The minimum size of clusters follows the step: see `scale_cluster_size`.

    Parameters
    ----------
    settings : DiarizationSettings
        Not modified.
    speed : {"exact", "balanced", "fast"}
        See `DiarizationPipeline`.
    """
    changed = replace(settings, **options_at(speed))
    steps = settings.segmentation_step, changed.segmentation_step
    return replace(changed, parameters=scale_cluster_size(settings.parameters, *steps))


def scale_cluster_size(
    parameters: Mapping[str, Any], former_step: float, step: float
) -> dict[str, Any]:
    """Scale the minimum size of clusters, which counts windows, as windows become fewer

    Parameters
    ----------
    parameters : dict
        Hyper-parameters of clustering. Those without `min_cluster_size` stay as they are.
    former_step, step : float
        Steps between windows, as shares of their length.
    """
    size = parameters.get("min_cluster_size")
    if size is None:
        return dict(parameters)
    return {**parameters, "min_cluster_size": max(1, round(size * former_step / step))}
