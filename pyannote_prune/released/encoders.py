"""WavLM alone, in Hugging Face layout"""

from __future__ import annotations

from pathlib import Path

from ..files.sources import SUFFIXES, hub_error, model_in
from ..segmentation.model import WavLMSegmentation
from .formats import Source

CONFIG = "config.json"


def open_encoder(source: str | Path) -> Source | None:
    """Open a folder with a `config.json`, or a hub id, or return None for other sources"""
    if Path(source).is_dir():
        is_encoder = model_in(source) is None and (Path(source) / CONFIG).is_file()
    else:
        is_encoder = not str(source).lower().endswith(SUFFIXES)
    return Source(lambda: _load(source)) if is_encoder else None


def _load(source: str | Path) -> WavLMSegmentation:
    """Put an untrained head on the encoder"""
    try:
        return WavLMSegmentation(wavlm=source).eval()
    except OSError as error:
        if Path(source).exists():
            raise
        raise hub_error(source, error.__cause__ or error) from error
