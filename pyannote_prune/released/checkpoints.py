"""Checkpoints of this package"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..files.pickles import read_safely
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..segmentation.pytorch_file import contents_of
from ..segmentation.rebuild import rebuild
from ..segmentation.safetensors_file import is_safetensors
from .formats import Source


def open_checkpoint(source: str | Path) -> Source | None:
    """Open a file written by `save_checkpoint`, or return None for other sources"""
    if not Path(source).is_file():
        return None
    if is_safetensors(source):
        return Source(partial(load_checkpoint, source))
    content = read_safely(source)
    if not isinstance(content, Mapping) or "pyannote.audio" not in content:
        return None  # a WavLM file of DiariZen, for instance
    name = repr(str(source))
    return Source(partial(rebuild, WavLMSegmentation, contents_of(content, name), name))
