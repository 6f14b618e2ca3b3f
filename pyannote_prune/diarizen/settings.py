"""Inference settings of released models"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..settings import DiarizationSettings
from .repository import CONFIG, find_repository, read_config

# frames of the median filter, which `config.toml` can only switch on or off
MEDIAN_FILTER = 11

# settings that pyannote.audio does not let one change: what they must be
FIXED = {"ahc_criterion": "distance", "lda_dim": 128, "max_iters": 20}


def load_settings(
    source: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> DiarizationSettings:
    """Inference settings of a model released by DiariZen

    Parameters
    ----------
    source : str or Path
        Hub id or local folder.
    revision, token, cache_dir : optional
        See `huggingface_hub.snapshot_download`.

    Returns
    -------
    settings : DiarizationSettings
        Window step, median filter and clustering of `config.toml`, for `export_pipeline`.
        The window length is among the specifications of the model.

    Raises
    ------
    OSError
        If `source` cannot be found.
    ValueError
        If a setting is missing, or cannot be reproduced by pyannote.audio.
    """
    folder = find_repository(source, revision, token, cache_dir)
    config = read_config(folder)
    inference = config.get("inference", {}).get("args", {})
    clustering = config.get("clustering", {}).get("args", {})
    try:
        method = clustering["method"]
        if method not in CLUSTERING:
            raise ValueError(
                f"`clustering.args.method` must be one of {', '.join(map(repr, CLUSTERING))} in "
                f"{str(folder / CONFIG)!r}, found {method!r}."
            )
        return DiarizationSettings(
            clustering=method,
            parameters=CLUSTERING[method](clustering),
            segmentation_step=inference["segmentation_step"],
            segmentation_batch_size=inference["batch_size"],
            embedding_batch_size=inference["batch_size"],
            embedding_exclude_overlap=True,
            median_filter=MEDIAN_FILTER if inference["apply_median_filtering"] else 1,
            min_speakers=clustering["min_speakers"],
            max_speakers=clustering["max_speakers"],
        )
    except KeyError as error:
        raise ValueError(
            f"Missing key {error} in [inference.args] or [clustering.args] of "
            f"{str(folder / CONFIG)!r}: give a `DiarizationSettings` of yours instead."
        ) from error


def _vbx(clustering: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in FIXED.items():
        if clustering[name] != value:
            raise ValueError(
                f"`clustering.args.{name}` must be {value!r}, found {clustering[name]!r}: "
                "pyannote.audio has this value built in."
            )
    return {
        "threshold": clustering["ahc_threshold"],
        "Fa": clustering["Fa"],
        "Fb": clustering["Fb"],
    }


def _ahc(clustering: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": "centroid",
        "min_cluster_size": clustering["min_cluster_size"],
        "threshold": clustering["ahc_threshold"],
    }


CLUSTERING: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "VBxClustering": _vbx,
    "AgglomerativeClustering": _ahc,
}
