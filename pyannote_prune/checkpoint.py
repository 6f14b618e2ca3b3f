"""Checkpoints that pyannote.audio reads, written whole and read without executing them"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import lightning
import torch
from pyannote.audio.core.task import Problem, Resolution, Specifications
from torch.torch_version import TorchVersion

from .rebuild import rebuild
from .segmentation import WavLMSegmentation, without_task_modules
from .sources import check_is_file
from .specifications import has_specifications
from .tensors import SUFFIX, is_safetensors, read_tensors, write_tensors
from .whole import whole

# plain data that checkpoints of pyannote.audio hold beside tensors, and `torch.load` does not know
# (the last one is the text that pyannote.audio 3 wrote as version of torch)
SAFE_CLASSES = [Specifications, Problem, Resolution, TorchVersion]

# what names of checkpoints end in, in the format of PyTorch
PYTORCH = (".ckpt", ".bin", ".pt", ".pth")


def save_checkpoint(model: WavLMSegmentation, path: str | Path) -> None:
    """Save a model in the format of pyannote.audio, or as a safetensors file

    Parameters
    ----------
    model : WavLMSegmentation
        Its specifications must be known, i.e. it has a task, or was loaded from a checkpoint.
    path : str or Path
        File to write, ".ckpt" for instance. `Model.from_pretrained(path)` of pyannote.audio reads
        it, unless its name ends in ".safetensors": `WavLMSegmentation.from_pretrained(path)` then
        does, and executes nothing. An existing file is replaced in one go, once the new one is
        complete.

    Raises
    ------
    ValueError
        If the model has no specifications, or if `path` ends as files of another format do.
    """
    check_suffix(path)
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
    write = write_tensors if is_safetensors(path) else write_atomically
    write(checkpoint, Path(path))


def check_suffix(path: str | Path):
    """Refuse names that announce another format than those that are written

    Raises
    ------
    ValueError
        If the suffix of a name, if it has one, is not that of a checkpoint.
    """
    if Path(path).suffix.lower() not in ("", *PYTORCH, SUFFIX):
        raise ValueError(
            f"Names of checkpoints must end in {SUFFIX}, or, for the format of PyTorch, in "
            f"{', '.join(PYTORCH)}, found {str(path)!r}: no other format is written."
        )


def write_atomically(content: Any, path: Path):
    """`torch.save` to a temporary neighbour, then rename"""
    with whole(path) as draft:
        torch.save(content, draft)


def load_checkpoint(path: str | Path) -> WavLMSegmentation:
    """Load a model without executing anything from the file

    Same as `Model.from_pretrained(path)`, which trusts the file, but for third-party checkpoints,
    and for ".safetensors" files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IsADirectoryError
        If it is a folder.
    ValueError
        If the file is damaged, holds code, or is not a checkpoint of `WavLMSegmentation`.
    """
    content = read_tensors(path) if is_safetensors(path) else read_safely(path)
    return rebuild(content, source=repr(str(path)))


def read_safely(path: str | Path, mmap: bool = False) -> Any:
    """`torch.load` that refuses anything but tensors, plain values and pyannote's specifications

    Parameters
    ----------
    path : str or Path
    mmap : bool, optional
        Leave tensors on disk until they are used.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, or holds anything else.
    """
    check_is_file(path)
    try:
        # SAFE_CLASSES are registered when the package is imported
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
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


def last_checkpoint(path: Path) -> Path | None:
    """Checkpoint to resume from, if there is one, and if it holds no code

    Lightning executed whatever was in its checkpoints before 2.6.

    Raises
    ------
    ValueError
        If the file is damaged, or holds code.
    """
    if not path.is_file():
        return None
    read_safely(path, mmap=True)
    return path
