"""Precisions, for processors and tasks that do not know about them"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def knows_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are those of a processor, not an emulation

    On processors that do not know it (x86 without AVX-512, for instance), they take seven times as
    long as those in single precision.
    """
    if device.type != "cpu":
        return True
    known = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return known is None or known()


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
