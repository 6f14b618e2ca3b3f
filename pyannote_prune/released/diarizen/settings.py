"""Inference settings of released models"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...pipeline.settings import (
    DIARIZEN_SETTINGS,
    MEDIAN_FILTER,
    MIN_CLEAN_RATIO,
    DiarizationSettings,
)
from .arguments import CLUSTERING, Agglomerative, Clustering, Inference, Method, VBx, known
from .repository import CONFIG, find_config, find_repository, read_config


def load_settings(
    source: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> DiarizationSettings:
    """Load the inference settings of a model released by DiariZen

    Parameters
    ----------
    source : str or Path
        Hub id, local folder, or file of weights in the folder of its experiment.
    revision, token, cache_dir : optional
        See `huggingface_hub.snapshot_download`.

    Returns
    -------
    settings : DiarizationSettings
        Window step, median filter and clustering of `config.toml`, for `export_pipeline`, or
        those of DiariZen's recipes if training wrote it, without any.
        The window length is among the specifications of the model.

    Raises
    ------
    OSError
        If `source` cannot be found.
    ValueError
        If a setting is missing, or cannot be reproduced by pyannote.audio.
    """
    if Path(source).is_file():
        path = find_config(Path(source))
    else:
        path = find_repository(source, revision, token, cache_dir) / CONFIG
    config = read_config(path)
    if not {"inference", "clustering"} & config.keys():
        return DIARIZEN_SETTINGS  # of training
    try:
        inference = known(Inference, config, "inference")
        method = known(Method, config, "clustering").method
        clustering = known(CLUSTERING[method], config, "clustering")
        return DiarizationSettings(
            clustering=method,
            parameters=_parameters(clustering),
            segmentation_step=inference.segmentation_step,
            segmentation_batch_size=inference.batch_size,
            embedding_batch_size=inference.batch_size,
            embedding_exclude_overlap=True,
            # `config.toml` can only switch it on or off
            median_filter=MEDIAN_FILTER if inference.apply_median_filtering else 1,
            min_speakers=clustering.min_speakers,
            max_speakers=clustering.max_speakers,
            min_clean_ratio=MIN_CLEAN_RATIO,
            constrained_assignment=True,
            first_channel=True,
        )
    except ValueError as error:
        raise ValueError(
            f"{str(path)!r} does not have settings that pyannote.audio can reproduce: "
            f"{error} Otherwise, give your own `DiarizationSettings`."
        ) from error


def find_plda(
    source: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path | None:
    """Find the PLDA folder of a released model, if its clustering needs one

    Parameters
    ----------
    source, revision, token, cache_dir
        See `load_settings`.

    Returns
    -------
    folder : Path or None
        None if the clustering needs no PLDA, or if the repository has none.
    """
    if Path(source).is_file():
        return None
    folder = find_repository(source, revision, token, cache_dir)
    if "clustering" not in (config := read_config(folder / CONFIG)):
        return None
    method = known(Method, config, "clustering").method
    found = folder / "plda"
    return found if method == "VBxClustering" and found.is_dir() else None


def _parameters(clustering: Clustering) -> dict[str, Any]:
    """Hyper-parameters of the same clustering in pyannote.audio"""
    threshold = clustering.ahc_threshold
    if isinstance(clustering, VBx):
        return {"threshold": threshold, "Fa": clustering.Fa, "Fb": clustering.Fb}
    assert isinstance(clustering, Agglomerative)
    size = clustering.min_cluster_size
    return {"method": "centroid", "min_cluster_size": size, "threshold": threshold}
