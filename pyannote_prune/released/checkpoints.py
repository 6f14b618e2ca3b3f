"""Checkpoints of pyannote.audio: of our class, and of classes that are converted"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..files.messages import shorten
from ..files.pickles import read_safely
from ..files.sources import is_onnx
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.contents import ARCHITECTURE, Contents
from ..segmentation.model import WavLMSegmentation
from ..segmentation.pytorch_file import saved_model
from ..segmentation.rebuild import rebuild
from ..segmentation.safetensors_file import is_safetensors
from . import sseriouss
from .formats import Source
from .suplime import checkpoint as suplime

# Register of the classes of other projects: functions that convert hyper-parameters,
# specifications and weights
CLASSES: dict[str, Callable[[Any, Any, Any, str], Contents]] = {
    suplime.ARCHITECTURE: suplime.suplime_contents,
    sseriouss.ARCHITECTURE: sseriouss.sseriouss_contents,
}


def open_checkpoint(source: str | Path) -> Source | None:
    """Open a checkpoint of pyannote.audio, or return None for other sources

    Raises
    ------
    ValueError
        If it is damaged or holds code, or is an ONNX file.
    """
    if not Path(source).is_file():
        return None
    if is_onnx(source):
        raise ValueError(
            f"{str(source)!r} is an ONNX file, which is not converted back: give the checkpoint "
            "that it was made from."
        )
    if is_safetensors(source):
        return Source(partial(load_checkpoint, source))
    content = read_safely(source)
    if not isinstance(content, Mapping) or "pyannote.audio" not in content:
        return None  # a WavLM file of DiariZen, for instance
    return Source(partial(rebuild_any, content, repr(str(source))))


def rebuild_any(content: Mapping[str, Any], name: str) -> WavLMSegmentation:
    """Rebuild the model of a checkpoint, after conversion if its class is another one

    Parameters
    ----------
    content : dict
        As read from a file.
    name : str
        Name of the file, for messages.

    Raises
    ------
    ValueError
        If there is no such class in `CLASSES`, or if the checkpoint does not fit.
    """
    architecture, contents = saved_model(content, name)
    if architecture != ARCHITECTURE:
        known = architecture if isinstance(architecture, str) else None
        if known not in CLASSES:
            raise ValueError(
                f"{name} must be a checkpoint of {', '.join((ARCHITECTURE, *CLASSES))}, found "
                f"{shorten(architecture)}: models of other classes have no WavLM to prune, and are "
                "loaded with pyannote.audio's `Model.from_pretrained`."
            )
        try:
            contents = CLASSES[known](
                contents.hparams, contents.specifications, contents.weights, name
            )
        except ValueError as error:
            raise ValueError(
                f"{name} does not describe a {known} that is supported: {error}"
            ) from error
    return rebuild(WavLMSegmentation, contents, name)
