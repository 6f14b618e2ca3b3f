"""Find and open files of segmentation models that pyannote.audio cannot load by itself"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pyannote.audio.utils.hf_hub import download_from_hf_hub

from ..files.inside import find_inside
from ..files.sources import is_onnx
from ..onnx.model import ONNXSegmentation
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..segmentation.safetensors_file import is_safetensors
from ..wavlm.inference.bfloat16 import supports_bfloat16


def find_file(
    segmentation: Any, token: str | bool | None = None, cache_dir: str | Path | None = None
) -> Path | None:
    """Local path of a safetensors or ONNX file, downloaded if necessary. None for other models

    Parameters
    ----------
    segmentation : Model, str, Path or dict
        As in the constructor, after "$model/..." has become a dictionary.
    token, cache_dir : optional
        See `pyannote.audio.Pipeline.from_pretrained`.

    Raises
    ------
    ValueError
        If it is not the name of a file in the folder of the pipeline.
    """
    if not isinstance(segmentation, Mapping):
        is_path = isinstance(segmentation, str | Path)
        return Path(segmentation) if is_path and _is_file_of_ours(segmentation) else None
    checkpoint: Any = segmentation.get("checkpoint")
    name: Any = segmentation.get("subfolder")
    if not name:
        return find_file(checkpoint)
    if not isinstance(name, str) or not _is_file_of_ours(name):
        return None
    if not Path(checkpoint).is_dir():
        # annotated as if it returned None where it raises an error
        downloaded: Any = download_from_hf_hub(
            str(checkpoint),
            name,
            revision=segmentation.get("revision"),
            cache_dir=segmentation.get("cache_dir", cache_dir),
            token=segmentation.get("token", token),
        )
        return Path(downloaded)
    path = find_inside(checkpoint, name)
    if path is None:
        raise ValueError(
            f"`segmentation` must be a file inside {str(checkpoint)!r}, found {name!r}: copy it "
            "there, and give its name."
        )
    return path


def _is_file_of_ours(name: object) -> bool:
    """Whether pyannote.audio cannot load such a file by itself"""
    return is_safetensors(name) or is_onnx(name)


def open_file(
    path: Path, engine: str, dtype: str | None = None
) -> WavLMSegmentation | ONNXSegmentation:
    """Open a safetensors or ONNX file

    Parameters
    ----------
    path : Path
    engine : str
        Library that computes an ONNX file: see `ONNXSegmentation`.
    dtype : {"bfloat16"}, optional
        Precision in which an ONNX file is going to be computed, and opened, if this processor
        supports it: it would be opened again otherwise. Defaults to single precision.
    """
    if not is_onnx(path):
        return load_checkpoint(path)
    is_possible = supports_bfloat16(torch.device("cpu"))
    return ONNXSegmentation(path, engine=engine, dtype=dtype if is_possible else None)
