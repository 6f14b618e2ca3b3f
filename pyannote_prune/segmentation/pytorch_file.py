"""Checkpoints in the format of pyannote.audio, i.e. PyTorch files"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files.pickles import read_safely
from .contents import Contents, check_architecture
from .provenance import KEY


def read_pytorch(path: str | Path) -> Contents:
    """Read a checkpoint without executing anything from it

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, holds code, or is not a checkpoint of `WavLMSegmentation`.
    """
    return contents_of(read_safely(path), source=repr(str(path)))


def contents_of(checkpoint: Any, source: str) -> Contents:
    """Extract contents from a checkpoint of `WavLMSegmentation`

    Parameters
    ----------
    checkpoint : dict
        As read from a file, hence of any type.
    source : str
        Name of the file, for messages.

    Raises
    ------
    ValueError
        If it is not a checkpoint, or has another model.
    """
    architecture, contents = saved_model(checkpoint, source)
    check_architecture(architecture, source)
    return contents


def saved_model(checkpoint: Any, source: str) -> tuple[Any, Contents]:
    """Extract the model of a checkpoint of pyannote.audio, of any class

    Parameters
    ----------
    checkpoint, source
        See `contents_of`.

    Returns
    -------
    architecture : str
        Name of its class. Not checked.
    contents : Contents
        With the hyper-parameters and the names of that class.

    Raises
    ------
    ValueError
        If it is not a checkpoint.
    """
    try:
        architecture = checkpoint["pyannote.audio"]["architecture"]["class"]
        return architecture, Contents(
            checkpoint["hyper_parameters"],
            checkpoint["pyannote.audio"]["specifications"],
            checkpoint["state_dict"],
            checkpoint.get(KEY),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{source} must be a pyannote.audio checkpoint, found none: convert released "
            "models and WavLM weights with `pyannote-prune convert` first."
        ) from error
