"""Rows of the table: pipelines from the same parts"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pyannote.audio import Model, pipelines

from ...files.messages import did_you_mean
from ...pipeline.diarization import DiarizationPipeline, find_file
from ...pipeline.pyannote_repairs import NoPLDA, set_embedding
from ...pipeline.settings import STEP
from ...pipeline.speed import SPEEDS, options_at, scale_cluster_size
from .models import open_embedding, open_segmentation
from .parts import Parts


@dataclass(frozen=True)
class Variant:
    """Class of a pipeline, and its arguments besides those of its parts

    A speed (see `DiarizationPipeline`) counts more than the step of the parts.
    """

    make: type[pipelines.SpeakerDiarization] = DiarizationPipeline
    options: Mapping[str, Any] = field(default_factory=dict)
    speed: str | None = None

    @property
    def is_ours(self) -> bool:
        return issubclass(self.make, DiarizationPipeline)


# by the names that the table gives them
VARIANTS = {
    "pyannote.audio": Variant(pipelines.SpeakerDiarization),
    "pyannote-prune": Variant(),
    **{name: Variant(speed=name) for name in SPEEDS},
}


def choose_variants(names: Sequence[str]) -> dict[str, Variant]:
    """Choose variants by name, or all of them if there is none

    Raises
    ------
    ValueError
        If there is no such variant.
    """
    for name in names:
        if name not in VARIANTS:
            raise ValueError(
                f"`variant` must be one of {', '.join(map(repr, VARIANTS))}, found {name!r}"
                f"{did_you_mean(name, VARIANTS)}."
            )
    return {name: VARIANTS[name] for name in VARIANTS if name in names or not names}


def make_pipeline(parts: Parts, variant: Variant) -> pipelines.SpeakerDiarization:
    """Make a pipeline

    The class of pyannote.audio leaves out settings of a pipeline folder that it does not have.

    Parameters
    ----------
    parts : Parts
    variant : Variant

    Raises
    ------
    OSError, ValueError
        If a part cannot be read.
    """
    arguments, hyper_parameters = parts.arguments()
    arguments |= variant.options
    if (speed := variant.speed) is not None:
        former_step = arguments.get("segmentation_step", STEP)
        step = options_at(speed).get("segmentation_step", former_step)
        arguments |= {"speed": speed, "segmentation_step": step}
        clustering = scale_cluster_size(hyper_parameters["clustering"], former_step, step)
        hyper_parameters["clustering"] = clustering
    arguments["segmentation"] = _segmentation(arguments["segmentation"], variant.is_ours)
    embedding = arguments["embedding"]
    if not isinstance(embedding, str | dict):  # neither a hub id, nor in a pipeline folder
        embedding = arguments["embedding"] = open_embedding(embedding)
    is_model = isinstance(embedding, str | dict | Model)
    if not is_model:
        # pyannote.audio (4.0.7) knows such embeddings by their name alone: a stand-in until later
        arguments["embedding"] = Model()
    if arguments.get("plda") is None:
        arguments["plda"] = NoPLDA()
    if not variant.is_ours:
        known = inspect.signature(variant.make).parameters
        arguments = {name: value for name, value in arguments.items() if name in known}
    pipeline = variant.make(**arguments)
    if not is_model:
        set_embedding(pipeline, embedding)
    pipeline.instantiate(hyper_parameters)
    return pipeline.to(torch.device(parts.device))


def _segmentation(source: Any, is_ours: bool) -> Any:
    """Segmentation model, or what our class opens by itself, with an engine of its choice"""
    path = find_file(source)
    if path is None:
        return source if isinstance(source, dict) else open_segmentation(source)
    return str(path) if is_ours else open_segmentation(path)
