"""Repositories of SUPlime: a pipeline as `config.yaml`, with its segmentation and embedding models

Both are read as data, and never executed. The embedding model has a class of the package `suplime`,
which exported pipelines need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...files.inside import find_inside
from ...files.pickles import read_safely
from ...files.schema import read_yaml, refuse, rule, section
from ...files.sources import hub_error
from ...pipeline.settings import DiarizationSettings
from ...segmentation.model import WavLMSegmentation
from ...segmentation.provenance import source_name
from ..checkpoints import rebuild_any
from ..formats import Source
from ..hub import find_on_hub
from .checkpoint import RELEASED

CONFIG, WEIGHTS = "config.yaml", "pytorch_model.bin"

# how such pipelines are named
CLASSES = ("suplime.SuplimeDiarization", "suplime.pipeline.SuplimeDiarization")

# package that has the class of the embedding, and the release whose files were looked at
PACKAGE = {"suplime": "0.2.0"}


@dataclass(frozen=True)
class Arguments:
    """Arguments of SUPlime's pipeline (0.2.0)"""

    segmentation: str | dict[str, Any] = "$model/segmentation"
    embedding: str | dict[str, Any] = "$model/embedding"
    segmentation_step: float = rule(0.1, above=0, maximum=1)
    segmentation_batch_size: int = rule(32, minimum=1)
    embedding_batch_size: int = rule(32, minimum=1)
    embedding_exclude_overlap: bool = True
    clustering: str = rule("AgglomerativeClustering", choices=("AgglomerativeClustering",))


@dataclass(frozen=True)
class Clustering:
    """Hyper-parameters of agglomerative clustering"""

    method: str = rule("centroid", choices=("average", "centroid", "complete", "single"))
    min_cluster_size: int = rule(12, minimum=1)
    threshold: float = rule(0.72, minimum=0)


@dataclass(frozen=True)
class Binarization:
    """Hyper-parameters of segmentation"""

    min_duration_off: float = rule(0.0, minimum=0)


@dataclass(frozen=True)
class Parameters:
    """Hyper-parameters of SUPlime's pipeline, and their values when they are not given"""

    segmentation: Binarization = Binarization()
    clustering: Clustering = Clustering()


def open_suplime(source: str | Path) -> Source | None:
    """Open a repository of SUPlime

    Parameters
    ----------
    source : str or Path
        Hub id, such as "rewayai/suplime", or local folder.

    Returns
    -------
    source : Source or None
        None for folders and repositories whose `config.yaml` has no pipeline of SUPlime.

    Raises
    ------
    ValueError
        If `config.yaml` is not valid YAML.
    """
    path = _find(source, CONFIG)
    if path is None:
        return None
    config = read_yaml(path, "the configuration of a pipeline")
    pipeline = config.get("pipeline") if isinstance(config, Mapping) else None
    if not isinstance(pipeline, Mapping) or pipeline.get("name") not in CLASSES:
        return None
    return Source(
        partial(_load, source, config),
        partial(_settings, config, str(path)),
        parts=source,
        packages=PACKAGE,
    )


def _find(source: str | Path, name: str) -> Path | None:
    """Local path of a file, downloaded if necessary"""
    if Path(source).exists():
        return find_inside(source, name) if Path(source).is_dir() else None
    return find_on_hub(source, name)


def _arguments(config: Mapping[str, Any]) -> Arguments:
    plain = config["pipeline"].get("params") or {}
    given = dict(plain) if isinstance(plain, Mapping) else plain
    return section(Arguments, given, "pipeline.params")


def _settings(config: Mapping[str, Any], name: str) -> DiarizationSettings:
    try:
        arguments = _arguments(config)
        parameters = section(Parameters, config.get("params") or {}, "params")
    except ValueError as error:
        raise ValueError(
            f"{name!r} does not have settings of agglomerative clustering: {error} Otherwise, give "
            "your own `DiarizationSettings`."
        ) from error
    clustering = parameters.clustering
    return DiarizationSettings(
        clustering=arguments.clustering,
        parameters=dict(vars(clustering)),
        segmentation_step=arguments.segmentation_step,
        segmentation_batch_size=arguments.segmentation_batch_size,
        embedding_batch_size=arguments.embedding_batch_size,
        embedding_exclude_overlap=arguments.embedding_exclude_overlap,
        min_duration_off=parameters.segmentation.min_duration_off,
    )


def _load(source: str | Path, config: Mapping[str, Any]) -> WavLMSegmentation:
    where = _arguments(config).segmentation
    if not isinstance(where, str) or not where.startswith("$model/"):
        refuse("pipeline.params.segmentation", "a folder of the repository, '$model/...'", where)
    place = where.removeprefix("$model/")
    for name in (place, f"{place}/{WEIGHTS}"):
        path = _find(source, name)
        if path is not None:
            model = rebuild_any(read_safely(path), repr(str(path)))
            model.provenance = replace(model.provenance, source=source_name(source), **RELEASED)
            return model
    error = FileNotFoundError(f"no {WEIGHTS} in {place!r}")
    if Path(source).is_dir():
        raise ValueError(
            f"`pipeline.params.segmentation` must be in {str(source)!r}, found {where!r}: {error}."
        )
    raise hub_error(source, error)
