"""Recipes that prune a model which others have fine-tuned"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ..files.messages import shorten
from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import class_names, single_specifications
from .config import Recipe
from .starting_models import read_checkpoint


def recipe_for_teacher(
    source: str | Path,
    protocol: str,
    database: str | Path,
    target_sparsity: float = 0.8,
    parts: str | None = None,
    changes: Iterable[str] = (),
) -> Recipe:
    """Make the recipe that prunes a fine-tuned model, without its first stage

    Windows, speakers and settings of the pipeline are those of the model.

    Parameters
    ----------
    source : str or Path
        Model to prune, the teacher: see `open_source`.
    protocol, database : str
        Name of a protocol, and `database.yml` that defines it.
    target_sparsity : float, optional
        Fraction of WavLM to remove. Defaults to 0.8.
    parts : str, optional
        Source of embedding and PLDA: see `export_pipeline`. Defaults to the one of the model.
    changes : iterable of str, optional
        Other values of the recipe, such as "stages.prune.max_epochs=10".

    Raises
    ------
    OSError
        If there is no such model.
    ValueError
        If it has gates, is not powerset, or if a value is impossible: the message names its key.
    """
    plain = _describe(read_checkpoint(source)) | {
        "protocol": protocol,
        "database": str(database),
        "checkpoint": str(source),
        "pruning": {"target_sparsity": target_sparsity},
        "stages": {"fine_tune": {"max_epochs": 0}},
        "export": {"from_checkpoint": True} | ({} if parts is None else {"parts": parts}),
    }
    for change in changes:
        _set(plain, change)
    return Recipe.from_dict(plain)


def _describe(model: WavLMSegmentation) -> dict[str, Any]:
    """Values of a recipe that a model decides"""
    specifications = single_specifications(model)
    if model.units:
        raise ValueError(
            f"The model must not have gates, found gates of {', '.join(model.units)}: give "
            "the model that was made before `gate`."
        )
    if not specifications.powerset:
        raise ValueError(
            "The model must be powerset, found one that scores each speaker alone: fine-tune it "
            "first, with a recipe (`checkpoint`, and epochs for `stages.fine_tune`)."
        )
    return {
        "duration": specifications.duration,
        "max_speakers_per_chunk": len(class_names(specifications)),
        "max_speakers_per_frame": specifications.powerset_max_classes,
    }


def _set(plain: dict[str, Any], change: str) -> None:
    """Set the value of "key=value", with the key of a recipe and a value in YAML"""
    key, found, text = change.partition("=")
    *sections, name = key.strip().split(".")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"The value of `{key}` must be valid YAML, found {shorten(text)}.") from (
            error
        )
    if not found or not name:
        raise ValueError(
            "A change must be a key and a value, such as 'stages.prune.max_epochs=10', found "
            f"{change!r}."
        )
    for section in sections:
        inner = plain.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ValueError(f"`{section}` must be a section of the recipe, found in {change!r}.")
        plain = inner
    plain[name] = value
