"""Checkpoints that pyannote.audio reads, written whole and read without executing them"""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import lightning
import torch
from pyannote.audio.core.task import Problem, Resolution, Specifications

from .segmentation import WavLMSegmentation, without_task_modules
from .specifications import has_specifications

# plain data that checkpoints of pyannote.audio hold beside tensors, and `torch.load` does not know
SAFE_CLASSES = [Specifications, Problem, Resolution]


def save_checkpoint(model: WavLMSegmentation, path: str | Path) -> None:
    """Save a model in the format of pyannote.audio

    Parameters
    ----------
    model : WavLMSegmentation
        Its specifications must be known, i.e. it has a task, or was loaded from a checkpoint.
    path : str or Path
        File to write: `Model.from_pretrained(path)` reads it. An existing file is replaced in one
        go, once the new one is complete.

    Raises
    ------
    ValueError
        If the model has no specifications.
    """
    if not has_specifications(model) or not hasattr(model, "classifier"):
        raise ValueError(
            "`model` must have specifications and a classifier, found none: train it "
            "(`Trainer().fit(model)`), or set `model.specifications` and call `model.setup()`."
        )
    checkpoint = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": without_task_modules(model.state_dict()),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(checkpoint)
    write_atomically(checkpoint, Path(path))


def write_atomically(content: Any, path: Path):
    """`torch.save` to a temporary neighbour, then rename"""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_checkpoint(path: str | Path) -> WavLMSegmentation:
    """Load a model without executing anything from the file

    Same as `Model.from_pretrained(path)`, which trusts the file, but for third-party checkpoints.

    Raises
    ------
    ValueError
        If the file is not a checkpoint of `WavLMSegmentation`.
    """
    content = read_safely(path)
    try:
        hparams = content["hyper_parameters"]
        architecture = content["pyannote.audio"]["architecture"]["class"]
        state_dict = content["state_dict"]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{str(path)!r} must be a pyannote.audio checkpoint, found none: convert released "
            "models and WavLM weights with `pyannote-prune convert` first."
        ) from error
    if architecture != WavLMSegmentation.__name__:
        raise ValueError(
            f"{str(path)!r} must be a checkpoint of WavLMSegmentation, found {architecture}: load "
            "it with pyannote.audio's `Model.from_pretrained`."
        )
    model = WavLMSegmentation(**hparams)
    model.on_load_checkpoint(content)
    model.load_state_dict(without_task_modules(state_dict))
    return model.eval()


def read_safely(path: str | Path) -> Any:
    """`torch.load` that refuses anything but tensors, plain values and pyannote's specifications

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, or holds anything else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"No such file: {str(path)!r}.")
    try:
        # SAFE_CLASSES are registered when the package is imported
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{str(path)!r} was not loaded: it is damaged, or holds Python objects that could "
            "execute code. Download or copy it again, or ask its author for a plain state dict."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f"{str(path)!r} could not be read: it is truncated or not a PyTorch file. "
            f"Download or copy it again. ({str(error).splitlines()[0] if str(error) else error!r})"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
