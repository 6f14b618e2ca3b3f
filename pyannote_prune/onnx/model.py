"""ONNX files as segmentation models of pyannote.audio"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn as nn
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Specifications
from torch import Tensor

from ..files.audio import SAMPLE_RATE
from ..files.extras import MissingExtra
from ..files.messages import shorten
from ..files.sources import check_is_file
from ..segmentation.samples import CheckedAudio
from ..segmentation.specifications import class_names, specifications_from_dict
from ..wavlm.waveforms import check_batch
from .engines import (
    AUTO,
    CHOICES_OF_FILES,
    ENGINES,
    Engine,
    check_dtype,
    check_engine,
    find_engine,
    supports_dtype,
)

# metadata that are needed, with the meaning that sherpa-onnx gives to them, in samples
LENGTHS = ("receptive_field_size", "receptive_field_shift")

DEFAULT = "onnxruntime"

# a minute, on CPU: larger batches are hardly faster, and take more memory in proportion
MAX_SAMPLES = 60 * SAMPLE_RATE

# two windows of half a second
EXAMPLE = np.zeros((2, 1, 8000), np.float32)


class ONNXSegmentation(Model):
    """Segmentation model that ONNX Runtime or OpenVINO computes, for `Inference` and pipelines

    Parameters
    ----------
    path : str or Path
        File written by `save_onnx`.
    num_threads : int, optional
        Number of threads on CPU. Defaults to the number of threads of PyTorch.
    engine : {"onnxruntime", "openvino", "auto"}, optional
        Library that computes. OpenVINO (extra `openvino`) is for CPU, where it is often faster:
        "auto" takes it there, if it is installed, and ONNX Runtime otherwise. Defaults to
        "onnxruntime".
    dtype : {"bfloat16"}, optional
        Precision of operations on CPU: faster with OpenVINO, with slightly different scores, on
        processors that support it. Elsewhere it is ignored, with a warning. Defaults to single
        precision.

    Shape
    -----
    waveforms : (batch_size, 1, num_samples) torch.Tensor
        At least 400 samples (25 ms).
    scores : (batch_size, num_frames, num_classes) torch.Tensor
        As those of the model that was saved.

    Raises
    ------
    ImportError
        If the packages of the engine are not installed.
    OSError
        If there is no such file.
    ValueError
        If the file is damaged, or has another model, or if there is no such engine or precision.
    """

    def __init__(
        self,
        path: str | Path,
        num_threads: int | None = None,
        engine: str = DEFAULT,
        dtype: str | None = None,
    ) -> None:
        super().__init__(sample_rate=SAMPLE_RATE, num_channels=1)
        check_engine(engine, CHOICES_OF_FILES)
        check_dtype(dtype)
        check_is_file(path)
        self.path, self.num_threads, self.engine = Path(path), num_threads, engine
        self.inference_dtype = dtype
        self.audio = CheckedAudio(sample_rate=SAMPLE_RATE, mono="downmix")
        self._engines: dict[str, Engine] = {}
        self.specifications, lengths = _read(self._engine("cpu").metadata, str(path))
        self._size, self._shift = lengths
        self.activation = nn.Identity()  # part of the file
        self.eval()

    @property
    def dimension(self) -> int:
        """Number of output classes"""
        specifications = cast(Specifications, self.specifications)
        if specifications.powerset:
            return specifications.num_powerset_classes
        return len(class_names(specifications))

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the file: see `save_onnx`"""
        return self._engine("cpu").metadata

    def num_frames(self, num_samples: int) -> int:
        """Compute number of output frames"""
        return max(0, (num_samples - self._size) // self._shift + 1)

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """Compute size of receptive field, in samples"""
        return self._size + (num_frames - 1) * self._shift

    def receptive_field_center(self, frame: int = 0) -> float:
        """Compute center of receptive field, in samples"""
        return frame * self._shift + (self._size - 1) / 2

    def forward(self, waveforms: Tensor) -> Tensor:  # type: ignore[override]
        """Compute scores, on the device of waveforms where ONNX Runtime has a provider for it

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor

        Returns
        -------
        scores : (batch_size, num_frames, num_classes) torch.Tensor
        """
        check_batch(waveforms)
        if waveforms.shape[2] < self._size:
            raise ValueError(
                f"`waveforms` must have at least {self._size} samples, found "
                f"{waveforms.shape[2]}: pad them."
            )
        device = waveforms.device.type
        engine, samples = self._engine(device), waveforms.detach().float().cpu().numpy()
        size = len(samples)
        if device == "cpu":
            size = max(1, MAX_SAMPLES // samples.shape[2])
        scores = [
            engine(samples[start : start + size]) for start in range(0, max(1, len(samples)), size)
        ]
        return torch.from_numpy(np.concatenate(scores)).to(waveforms.device)

    def in_precision(self, dtype: torch.dtype | None) -> ONNXSegmentation:
        """Open the same file with operations in another precision, or return this model

        Parameters
        ----------
        dtype : torch.bfloat16 or None
            None for single precision.
        """
        name = None if dtype is None else str(dtype).removeprefix("torch.")
        if name == self.inference_dtype:
            return self
        return ONNXSegmentation(self.path, self.num_threads, self.engine, name)

    def _engine(self, device: str) -> Engine:
        """Open the file for a type of device, once"""
        if device not in self._engines:
            self._engines[device] = self._open(device)
        return self._engines[device]

    def _open(self, device: str) -> Engine:
        num_threads = self.num_threads or torch.get_num_threads()
        name = (find_engine(device) or DEFAULT) if self.engine == AUTO else self.engine
        dtype = self.inference_dtype
        if not supports_dtype(name, dtype):
            warnings.warn(
                f"{dtype} needs OpenVINO (pip install 'pyannote-prune[openvino]') and a processor "
                "that supports it: segmentation is in single precision instead.",
                stacklevel=2,
            )
            dtype = None
        try:
            return ENGINES[name](self.path, device, num_threads, EXAMPLE, dtype)
        except MissingExtra:
            raise
        # engines have exceptions of their own for each kind of damage
        except Exception as error:
            raise ValueError(
                f"{str(self.path)!r} could not be read: it is truncated, damaged, or not an ONNX "
                f"file. Write or download it again. ({error})"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave engines out, which are opened again"""
        return self.__dict__ | {"_engines": {}}


def _read(metadata: Mapping[str, str], path: str) -> tuple[Specifications, tuple[int, int]]:
    """Read specifications, and size and shift of the receptive field

    Raises
    ------
    ValueError
        If they are missing or impossible.
    """
    try:
        specifications = specifications_from_dict(json.loads(metadata["specifications"]))
        size, shift = (int(metadata[key]) for key in LENGTHS)
        if size < 1 or shift < 1:
            raise ValueError(f"found a receptive field of {size} samples every {shift}.")
        if int(metadata["sample_rate"]) != SAMPLE_RATE:
            found = shorten(metadata["sample_rate"])
            raise ValueError(f"`sample_rate` must be {SAMPLE_RATE}, found {found}.")
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path!r} must be an ONNX file of a segmentation model, written by `save_onnx` or "
            f"`pyannote-prune convert`, found other metadata ({error})."
        ) from error
    return specifications, (size, shift)
