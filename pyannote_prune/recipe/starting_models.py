"""Models that stages of a recipe start from"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..files.schema import refuse
from ..pruning.prune import with_encoder
from ..released.source import open_source
from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import class_names, has_specifications, single_specifications
from .config import Recipe


def first_model(recipe: Recipe, **learning_rates: float) -> WavLMSegmentation:
    """Make the model that a recipe starts from

    Parameters
    ----------
    recipe : Recipe
    **learning_rates : float, optional
        Hyper-parameters of the model.
    """
    if recipe.checkpoint is None:
        options: dict[str, Any] = {"wavlm": recipe.wavlm, "conformer": recipe.conformer}
        return WavLMSegmentation(**(options | learning_rates))
    model = read_checkpoint(recipe.checkpoint)
    # a copy draws weights, and replaces them: random numbers of training must not depend on it
    with torch.random.fork_rng(devices=[]):
        return twin(model, **learning_rates)


def read_checkpoint(path: Path | str) -> WavLMSegmentation:
    """Read the `checkpoint` of a recipe: see `open_source`

    Raises
    ------
    ValueError
        If it is WavLM alone, or if it cannot be read.
    """
    model = open_source(path).load_model()
    if not has_specifications(model):
        raise ValueError(
            f"`checkpoint` must be a whole model, found {str(path)!r}, WavLM alone: convert it "
            "first (`pyannote-prune convert`), or give it as `wavlm`, if it is in Hugging Face "
            "layout."
        )
    return model


def check_same_output(recipe: Recipe, model: WavLMSegmentation) -> None:
    """Check that a recipe trains a model for the classes that it has

    With other ones, the first stage makes a new classifier, which the last stages cannot do for
    lack of a teacher.

    Raises
    ------
    ValueError
        If the numbers of speakers differ: the message gives those of the model.
    """
    specifications = single_specifications(model)
    if not specifications.powerset:
        raise ValueError(
            "`checkpoint` must be a powerset model for `stages.fine_tune.max_epochs: 0`, found one "
            "without powerset: fine-tune it first, with epochs for that stage."
        )
    found = {
        "max_speakers_per_chunk": len(class_names(specifications)),
        "max_speakers_per_frame": specifications.powerset_max_classes,
    }
    for key, value in found.items():
        if getattr(recipe, key) != value:
            expected = f"{value}, as in `checkpoint`, which no stage fine-tunes"
            refuse(key, expected, getattr(recipe, key))


def twin(model: WavLMSegmentation, **learning_rates: float) -> WavLMSegmentation:
    """Copy a model, so that the copy can be trained while the original does not change

    Parameters
    ----------
    model : WavLMSegmentation
    **learning_rates : float, optional
        Hyper-parameters of the copy. Default to the hyper-parameters of `model`.
    """
    return with_encoder(model, model.wavlm, **learning_rates)
