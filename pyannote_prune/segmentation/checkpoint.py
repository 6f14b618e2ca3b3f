"""Save and load models"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning

from ..files.pickles import write_atomically
from ..files.sources import PYTORCH, SAFETENSORS
from .contents import Contents, without_task_modules
from .model import WavLMSegmentation
from .pytorch_file import read_pytorch
from .rebuild import rebuild
from .safetensors_file import is_safetensors, read_tensors, write_tensors
from .specifications import has_specifications, single_specifications, with_plain_classes


def save_checkpoint(model: WavLMSegmentation, path: str | Path) -> None:
    """Save a model in the format of pyannote.audio, or as a safetensors file

    Parameters
    ----------
    model : WavLMSegmentation
        With specifications, i.e. it has a task, or was loaded from a checkpoint.
    path : str or Path
        File to write, ".ckpt" for instance. `Model.from_pretrained(path)` of pyannote.audio reads
        it. If its name ends in ".safetensors", `WavLMSegmentation.from_pretrained(path)` reads it,
        and executes nothing. An existing file is replaced atomically, once the new one is complete.

    Raises
    ------
    ValueError
        If the model has no specifications, or if `path` has the suffix of another format.
    """
    check_suffix(path)
    check_is_complete(model)
    hparams, weights = dict(model.hparams), without_task_modules(model.state_dict())
    if is_safetensors(path):
        specifications = with_plain_classes(single_specifications(model))
        contents = Contents(hparams, specifications, weights, model.provenance.to_dict())
        write_tensors(contents, path, type(model).__name__)
        return
    checkpoint: dict[str, Any] = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": weights,
        "hyper_parameters": hparams,
    }
    model.on_save_checkpoint(checkpoint)  # adds specifications and provenance
    write_atomically(checkpoint, Path(path))


def check_is_complete(model: WavLMSegmentation) -> None:
    """Refuse models whose task is not known yet

    Raises
    ------
    ValueError
        If the model has no specifications, or no classifier.
    """
    if not has_specifications(model) or not hasattr(model, "classifier"):
        raise ValueError(
            "`model` must have specifications and a classifier, found none: train it "
            "(`Trainer().fit(model)`), or set `model.specifications` and call `model.setup()`."
        )


def check_suffix(path: str | Path) -> None:
    """Refuse names with the suffix of another format than the two of `save_checkpoint`

    Raises
    ------
    ValueError
        If there is a suffix, and if no checkpoint has it.
    """
    if Path(path).suffix.lower() not in ("", *PYTORCH, SAFETENSORS):
        raise ValueError(
            f"Names of checkpoints must end in {SAFETENSORS}, or, for the format of PyTorch, in "
            f"{', '.join(PYTORCH)}, found {str(path)!r}: no other format is written."
        )


def load_checkpoint(path: str | Path) -> WavLMSegmentation:
    """Load a model without executing anything from the file

    `Model.from_pretrained(path)` of pyannote.audio loads the same model, but executes any code in
    the file. This function is for third-party checkpoints, and for ".safetensors" files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IsADirectoryError
        If `path` is a folder.
    ValueError
        If the file is damaged, holds code, or is not a checkpoint of `WavLMSegmentation`.
    """
    contents = read_tensors(path) if is_safetensors(path) else read_pytorch(path)
    return rebuild(WavLMSegmentation, contents, source=repr(str(path)))
