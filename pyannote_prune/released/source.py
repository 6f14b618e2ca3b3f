"""Load a segmentation model from any supported source"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HFValidationError

from ..files.pickles import read_safely
from ..files.sources import SUFFIXES, check_is_file, looks_like_hub_id, model_in
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..segmentation.safetensors_file import is_safetensors
from .diarizen import load_diarizen
from .diarizen.repository import CONFIG


def read_source(source: str | Path) -> WavLMSegmentation:
    """Segmentation model from a checkpoint or a released one, or from WavLM alone

    Parameters
    ----------
    source : str or Path
        Checkpoint, released DiariZen model (hub id or folder), WavLM in Hugging Face layout (hub
        id or folder), or WavLM file of DiariZen.

    Returns
    -------
    model : WavLMSegmentation
        In evaluation mode. From WavLM alone, its head is untrained, and it has no specifications.

    Raises
    ------
    OSError
        If `source` cannot be found.
    ValueError
        If it is in none of these formats, or if its weights do not fit.
    """
    if is_checkpoint(source):
        return load_checkpoint(source)
    if is_diarizen(source):
        return load_diarizen(source)
    if model_in(source) is not None or str(source).lower().endswith(SUFFIXES):
        check_is_file(source)
    return WavLMSegmentation(wavlm=source).eval()


def is_checkpoint(source: str | Path) -> bool:
    """Whether `source` was written by `save_checkpoint`, rather than by DiariZen's training"""
    if not Path(source).is_file():
        return False
    if is_safetensors(source):
        return True
    content = read_safely(source)
    return isinstance(content, Mapping) and "pyannote.audio" in content


def is_released(source: str | Path) -> bool:
    """Whether `source` is that of a released DiariZen model: a folder, or a name of the hub"""
    if Path(source).is_dir():
        return is_diarizen(source)
    return not Path(source).exists() and looks_like_hub_id(source)


def is_diarizen(source: str | Path) -> bool:
    """Whether `source` was written by DiariZen rather than by `transformers`"""
    if Path(source).is_dir():
        return (Path(source) / CONFIG).is_file()
    if Path(source).exists():
        return True
    try:
        hf_hub_download(str(source), CONFIG)
    except (OSError, HFValidationError):
        return False
    return True
