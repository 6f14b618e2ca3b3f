"""Checkpoints as safetensors files: weights, and a description that is read, never executed

The description is a JSON text in the metadata of the file: class, hyper-parameters and
specifications, in plain numbers and strings.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyannote.audio
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..files.atomic import atomic_write
from ..files.schema import rule, section
from ..files.sources import SAFETENSORS, check_is_file
from ..version import __version__
from . import provenance
from .contents import ARCHITECTURE, Contents, check_architecture
from .specifications import specifications_from_dict, specifications_to_dict

# key of the description, in the metadata
KEY = "pyannote_prune"


@dataclass(frozen=True)
class Description:
    """Description of the model, and checksum of weights

    The checksum is for accidents: an attacker can change it with the weights.
    """

    architecture: str
    hyper_parameters: dict[str, Any]
    specifications: dict[str, Any]
    versions: dict[str, Any]
    checksum: int = rule(minimum=0)


def is_safetensors(path: object) -> bool:
    """Whether a path has the suffix of safetensors files"""
    return isinstance(path, str | Path) and str(path).lower().endswith(SAFETENSORS)


def write_tensors(contents: Contents, path: str | Path, architecture: str = ARCHITECTURE) -> None:
    """Write a model as a safetensors file, atomically

    Parameters
    ----------
    contents : Contents
    path : str or Path
    architecture : str, optional
        Name of the class of the model. Files of another class than `WavLMSegmentation` are refused
        when they are read.

    Raises
    ------
    ValueError
        If no segmentation model can have these specifications.
    """
    # safetensors files have no strides, and no memory shared by two tensors
    weights = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in contents.weights.items()
    }
    description = Description(
        architecture=architecture,
        hyper_parameters=dict(contents.hparams),
        specifications=specifications_to_dict(contents.specifications),
        versions={"pyannote.audio": pyannote.audio.__version__, "pyannote-prune": __version__},
        checksum=_checksum(weights),
    )
    # "format" is for `transformers` and other readers
    metadata = {"format": "pt", KEY: json.dumps(asdict(description), allow_nan=False)}
    if contents.provenance:  # apart: release 0.1.0 refuses descriptions with more keys
        metadata[provenance.KEY] = json.dumps(contents.provenance, allow_nan=False)
    with atomic_write(path) as draft:
        save_file(weights, draft, metadata)
        _sort_header(draft)


def read_tensors(path: str | Path) -> Contents:
    """Read a file written by `write_tensors`

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or does not describe a model: the message names the file.
    """
    weights, metadata = _read(path)
    if KEY not in metadata:
        raise ValueError(
            f"{str(path)!r} must describe a model in its metadata ({KEY!r}), as files written by "
            "`save_checkpoint` do, found weights alone. For WavLM in Hugging Face layout, give the "
            "folder of that file to `pyannote-prune convert`."
        )
    try:
        description = section(Description, _parse(metadata[KEY]), KEY)
        specifications = specifications_from_dict(description.specifications)
        origin = _parse(metadata.get(provenance.KEY, "null"), provenance.KEY)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} does not describe a model: {error}") from error
    if _checksum(weights) != description.checksum:
        raise ValueError(
            f"{str(path)!r} is damaged: weights do not have the checksum in its metadata. "
            "Download or copy it again."
        )
    check_architecture(description.architecture, repr(str(path)))
    return Contents(description.hyper_parameters, specifications, weights, origin)


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata"""
    check_is_file(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118
    # the exception depends on the damage, from the header to unknown types
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} could not be read: it is truncated, damaged, or not a safetensors "
            f"file. Download or copy it again. ({error})"
        ) from error


def _parse(text: str, key: str = KEY) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{key}` is not valid JSON ({error}).") from error


def _sort_header(path: Path) -> None:
    """Sort the metadata of a file, which safetensors writes in any order: same model, same bytes"""
    with open(path, "rb+") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) <= length:  # the rest may be spaces, and tensors stay where they are
            file.seek(8)
            file.write(text.ljust(length))


def _checksum(weights: Mapping[str, Tensor]) -> int:
    """Checksum of names, types, shapes and bits"""
    total = 0
    for key in sorted(weights):
        tensor = weights[key]
        total = zlib.crc32(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        if tensor.numel():
            total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, total)
    return total
