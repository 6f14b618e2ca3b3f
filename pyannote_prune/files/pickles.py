"""Read and write PyTorch files without executing what they contain"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from pyannote.audio.core.task import Problem, Resolution, Specifications
from torch.torch_version import TorchVersion

from .atomic import atomic_write
from .sources import check_is_file

# Classes of plain data in checkpoints of pyannote.audio, which `torch.load` refuses by default. The
# last one is the text that pyannote.audio 3 wrote as version of torch.
SAFE_CLASSES = [Specifications, Problem, Resolution, TorchVersion]
# For the whole process, as Lightning also has to load them (`Trainer.fit(model, ckpt_path=...)`):
# `torch.serialization.safe_globals` in `read_safely` would remove them from the list on its exit.
torch.serialization.add_safe_globals([*SAFE_CLASSES])


def write_atomically(content: Any, path: Path) -> None:
    """Save with `torch.save`, atomically: same content, same bytes"""
    # of a path, `torch.save` writes the name, which is a random one here
    with atomic_write(path) as draft, open(draft, "wb") as file:
        torch.save(content, file)


def read_safely(path: str | Path, mmap: bool = False) -> Any:
    """Load tensors, plain values and specifications of pyannote.audio, and refuse anything else

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
        If the file is truncated, or has objects of other classes.
    """
    check_is_file(path)
    try:
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
    """Check the checkpoint to resume from, if there is one

    Lightning executed any code in its checkpoints before 2.6.

    Raises
    ------
    ValueError
        If the file is damaged, or holds code.
    """
    if not path.is_file():
        return None
    read_safely(path, mmap=True)
    return path
