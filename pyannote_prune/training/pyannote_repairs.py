"""What tasks of pyannote.audio 4.0.7 need in order to train safely"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .non_finite import zero_of


class AudioInMemory:
    """Mixin for pyannote.audio's tasks: keep decoded files when `in_memory` is set

    Opening a file takes longer than a training step of a small model takes for its samples. An
    hour of audio takes 230 MB, in each process that reads it.
    """

    in_memory = False

    def get_file(self, file_id: int) -> dict[str, Any]:
        """File that training samples are cropped from"""
        file = super().get_file(file_id)
        if not self.in_memory:
            return file
        kept = self.__dict__.setdefault("_kept", {})
        if file_id not in kept:
            waveform, sample_rate = self.model.audio(file)
            # one sample more: pyannote.audio (4.0.7) refuses windows that reach the end otherwise
            kept[file_id] = {"waveform": F.pad(waveform, (0, 1)), "sample_rate": sample_rate}
        return kept[file_id]


# seconds: twice the rounding of times within five hours, in single precision
ROUNDING = 2e-3


class WindowsInside:
    """Mixin for pyannote.audio's tasks: windows do not end after the audio because of rounding

    pyannote.audio (4.0.7) keeps times in single precision, and refuses a window that ends a
    nanosecond after its recording, in the middle of a training. It is taken slightly earlier.
    """

    def prepare_chunk(self, file_id: int, start_time: float, duration: float):
        """Prepare a training or validation sample"""
        # that of validation windows was rounded
        start_time, duration = float(start_time), float(self.duration)
        try:
            return super().prepare_chunk(file_id, start_time, duration)
        except ValueError:
            earlier = max(0.0, start_time - ROUNDING)
            return super().prepare_chunk(file_id, earlier, duration)


class SinglePrecisionLoss:
    """Mixin for pyannote.audio's tasks: mixed precision for the model, single for the loss

    pyannote.audio (4.0.7) matches speakers with numpy, which has no bfloat16.
    """

    def training_step(self, batch: dict[str, Tensor], batch_idx: int):
        with autocast_model_alone(self.model):
            return super().training_step(batch, batch_idx)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int):
        with autocast_model_alone(self.model):
            return super().validation_step(batch, batch_idx)


@contextmanager
def autocast_model_alone(model: nn.Module) -> Iterator[None]:
    """Where autocast is enabled, keep it for calls of a model, whose outputs are then converted"""
    device = model.device.type
    if not torch.is_autocast_enabled(device):
        yield
        return
    dtype, forward = torch.get_autocast_dtype(device), model.forward

    def mixed(waveforms: Tensor) -> Tensor:
        with torch.autocast(device, dtype):
            return forward(waveforms).float()

    model.forward = mixed
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        del model.forward


class NonFiniteLoss:
    """Mixin for pyannote.audio's tasks: a loss of NaN for outputs that are not finite

    Their permutation of speakers fails on such outputs, and our model refuses such waveforms.
    """

    def training_step(self, batch: dict[str, Tensor], batch_idx: int):
        try:
            return super().training_step(batch, batch_idx)
        except ValueError:
            waveforms = batch["X"]
            with torch.no_grad():
                if waveforms.isfinite().all() and self.model(waveforms).isfinite().all():
                    raise
            # all parameters have a gradient, as distributed training requires
            return {"loss": float("nan") * zero_of(self.model)}
