"""Contents of model files, between readers of all formats and `rebuild`"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# name of the class in files
ARCHITECTURE = "WavLMSegmentation"

# modules that a task may add to the model: pyannote.audio saves them, inference ignores them
TASK_MODULES = ("loss_func", "validation_metric")


@dataclass(frozen=True)
class Contents:
    """Contents of a file, or of a repository, that has a segmentation model

    Nothing is checked: values have any type until `rebuild` has looked at them.

    Parameters
    ----------
    hparams : dict
        Arguments of `WavLMSegmentation`, with the structure of WavLM as a dictionary.
    specifications : Specifications
        Window length, classes, etc.
    weights : dict of torch.Tensor
        State dict, with the names of `WavLMSegmentation`.
    provenance : dict, optional
        See `Provenance`. Defaults to nothing known.
    """

    hparams: Any
    specifications: Any
    weights: Any
    provenance: Any = None


def check_architecture(found: Any, source: str) -> None:
    """Refuse files of other models

    Parameters
    ----------
    found : str
        Name of the class of the model, according to the file.
    source : str
        Name of the file, for messages.
    """
    if found != ARCHITECTURE:
        raise ValueError(
            f"{source} must be a checkpoint of {ARCHITECTURE}, found {found}: load it with "
            "pyannote.audio's `Model.from_pretrained`."
        )


def without_task_modules(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the model alone"""
    return {
        key: tensor
        for key, tensor in state_dict.items()
        if key.split(".", 1)[0] not in TASK_MODULES
    }
