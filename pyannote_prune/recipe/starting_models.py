"""Models that stages of a recipe start from"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..pruning.prune import with_encoder
from ..released.source import open_source
from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import has_specifications
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


def read_checkpoint(path: Path) -> WavLMSegmentation:
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


def twin(model: WavLMSegmentation, **learning_rates: float) -> WavLMSegmentation:
    """Copy a model, so that the copy can be trained while the original does not change

    Parameters
    ----------
    model : WavLMSegmentation
    **learning_rates : float, optional
        Hyper-parameters of the copy. Default to the hyper-parameters of `model`.
    """
    return with_encoder(model, model.wavlm, **learning_rates)
