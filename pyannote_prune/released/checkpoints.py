"""Checkpoints of this package"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..files.pickles import read_safely
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.safetensors_file import is_safetensors
from .formats import Source


def open_checkpoint(source: str | Path) -> Source | None:
    """Open a file written by `save_checkpoint`, or return None for other sources"""
    if not Path(source).is_file() or not (is_safetensors(source) or _is_pytorch(source)):
        return None
    return Source(partial(load_checkpoint, source))


def _is_pytorch(path: str | Path) -> bool:
    """Whether a file is a checkpoint of pyannote.audio, rather than a WavLM file of DiariZen"""
    content = read_safely(path)
    return isinstance(content, Mapping) and "pyannote.audio" in content
