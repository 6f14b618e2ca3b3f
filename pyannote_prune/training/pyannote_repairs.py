"""Work around pyannote.audio 4.0.7, Lightning 2.6 and torch

Each piece names the version and the reason: once a release of them no longer needs it, it goes.
"""

from __future__ import annotations

import signal
import threading
from typing import Any, cast

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger
from pyannote.audio import Model
from pyannote.audio.core.task import Task
from pyannote.audio.tasks import SpeakerDiarization
from pyannote.audio.tasks.segmentation.mixins import SegmentationTask
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor

from .non_finite import zero_of


class AudioInMemory(SegmentationTask):
    """Mixin for pyannote.audio's tasks: decode each file once

    pyannote.audio (4.0.7) opens the file of each training sample, which takes longer than a
    training step of a small model.

    Parameters
    ----------
    in_memory : bool, optional
        Keep decoded audio: 230 MB an hour, in each process that reads it. Defaults to False.
    """

    model: Model

    def __init__(self, *args: Any, in_memory: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.in_memory = in_memory
        self.decoded: dict[int, dict[str, Any]] = {}

    def get_file(self, file_id: int) -> dict[str, Any]:
        """Get the file that samples are cropped from"""
        file = super().get_file(file_id)
        if not self.in_memory:
            return file
        if file_id not in self.decoded:
            waveform, sample_rate = self.model.audio(file)
            # pyannote.audio refuses windows that end with the waveform: one more sample
            waveform = F.pad(waveform, (0, 1))
            self.decoded[file_id] = {"waveform": waveform, "sample_rate": sample_rate}
        return self.decoded[file_id]

    def __setstate__(self, state: dict[str, Any]):
        # spawned workers (see `Workers`) start without decoded audio
        self.__dict__.update({"decoded": {}} | state)


# seconds: twice the rounding of times within five hours, in single precision
ROUNDING = 2e-3


class WindowsInside(SpeakerDiarization):
    """Mixin for pyannote.audio's tasks: keep windows inside recordings despite rounding

    pyannote.audio (4.0.7) stores times in single precision, and refuses a window that ends a
    nanosecond after its recording, in the middle of a training. Such windows start 2 ms earlier.
    """

    model: Model

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.durations: dict[int, float] = {}  # of files, in seconds

    def prepare_chunk(self, file_id: int, start_time: float, duration: float) -> dict[str, Any]:
        """Prepare a training or validation sample"""
        # the duration of validation windows was rounded
        start_time, duration = float(start_time), float(self.duration)
        if not self._ends_inside(file_id, start_time + duration):
            start_time = max(0.0, start_time - ROUNDING)
        return super().prepare_chunk(file_id, start_time, duration)

    def _ends_inside(self, file_id: int, end: float) -> bool:
        """Whether pyannote.audio's `Audio.crop` accepts a window that ends there"""
        file, audio = self.get_file(file_id), self.model.audio
        if "waveform" in file:
            return audio.get_num_samples(end, file["sample_rate"]) < file["waveform"].shape[1]
        if file_id not in self.durations:
            self.durations[file_id] = audio.get_duration(file)
        return end <= self.durations[file_id]


class SinglePrecisionPowerset(Powerset):
    """Powerset whose conversions are in single precision under autocast too"""

    def to_multilabel(self, powerset: Tensor, soft: bool = False) -> Tensor:
        with torch.autocast(powerset.device.type, enabled=False):
            return super().to_multilabel(powerset, soft)

    def to_powerset(self, multilabel: Tensor) -> Tensor:
        with torch.autocast(multilabel.device.type, enabled=False):
            return super().to_powerset(multilabel)


class SinglePrecisionSpeakers(Task):
    """Mixin for pyannote.audio's tasks: match speakers in single precision under autocast

    pyannote.audio (4.0.7) converts scores with a matrix product, which autocast makes a bfloat16,
    and matches speakers with NumPy, which has no bfloat16. Scores of `WavLMSegmentation` are in
    single precision already.
    """

    model: Model

    def setup_loss_func(self):
        """Replace the powerset of the model"""
        super().setup_loss_func()
        powerset = cast(Powerset, self.model.powerset)
        self.model.powerset = SinglePrecisionPowerset(powerset.num_classes, powerset.max_set_size)


class NonFiniteLoss(Task):
    """Mixin for pyannote.audio's tasks: return a NaN loss for waveforms that are not finite

    `WavLMSegmentation` refuses them, and pyannote.audio (4.0.7) does not skip them.
    """

    model: Model

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Compute the loss"""
        if batch["X"].isfinite().all():
            return super().training_step(batch, batch_idx)
        # all parameters have a gradient, as distributed training requires
        return {"loss": float("nan") * zero_of(self.model)}


class FiguresForLoggers(SpeakerDiarization):
    """Mixin for pyannote.audio's tasks: draw validation samples where a logger keeps the figure

    pyannote.audio (4.0.7) draws the first batch whatever the loggers, which takes a second.
    """

    model: Model

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int):
        """Compute validation loss and metric"""
        if not any(isinstance(one, TensorBoardLogger | MLFlowLogger) for one in self.model.loggers):
            batch_idx = max(1, batch_idx)  # only the first one is drawn
        return super().validation_step(batch, batch_idx)


class TrainerWhenValidating(Task):
    """Mixin for pyannote.audio's tasks: share prepared data when validating, as when training

    The first process alone prepares data. pyannote.audio (4.0.7) sends their path to the others
    when they train, but not when they only validate.
    """

    def setup(self, stage: str | None = None):
        """Load prepared data"""
        if stage == "validate" and self.trainer is not None:
            self.cache = self.trainer.strategy.broadcast(self.cache)
        super().setup(stage)


class KeepSignals(lightning.Callback):
    """Keep the SIGTERM handler that is installed when this is made

    Lightning (2.6) replaces it with one that ends the training as if it was finished, and that
    waits for the other processes of the training, which wait for this one.
    """

    def __init__(self):
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        self._restore()

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        self._restore()

    def _restore(self):
        if callable(self.handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)


def act_as_worker(worker: Any, worker_id: int):
    """Draw the samples of another worker

    pyannote.audio (4.0.7) seeds samples with the number of the worker (`create_rng_for_worker`),
    and has no argument for it; torch (2.14) freezes its description of the worker.

    Parameters
    ----------
    worker : torch.utils.data.get_worker_info() of the current process
    worker_id : int
    """
    object.__setattr__(worker, "id", worker_id)
