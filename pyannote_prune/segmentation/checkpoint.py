"""Save and load models"""

from __future__ import annotations

from pathlib import Path

import lightning

from ..files.pickles import read_safely, write_atomically
from .model import WavLMSegmentation, without_task_modules
from .rebuild import rebuild
from .safetensors_file import SUFFIX, is_safetensors, read_tensors, write_tensors
from .specifications import has_specifications

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
