"""Processes that read audio"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from multiprocessing import get_all_start_methods
from multiprocessing.context import get_spawning_popen
from types import SimpleNamespace
from typing import Any, TypeVar

from pyannote.audio import Audio, Model
from pyannote.audio.core.task import Task
from pyannote.core import SlidingWindow
from torch.utils.data import DataLoader


@dataclass(frozen=True)
class ModelForWorkers:
    """Part of a model that pyannote.audio's tasks use to prepare samples

    Parameters
    ----------
    audio : Audio
    receptive_field : SlidingWindow
    num_frames_of : dict of int
        Number of output frames of a window, by its number of input samples.
    sample_rate : int
    local_rank, global_rank, current_epoch : int
        Place in the training, from which random numbers are derived.
    num_batches : int
        Number of batches of that epoch that were seen before an interruption.
    """

    audio: Audio
    receptive_field: SlidingWindow
    num_frames_of: dict[int, int]
    sample_rate: int
    local_rank: int
    global_rank: int
    current_epoch: int
    num_batches: int

    @classmethod
    def of(cls, model: Model, duration: float) -> ModelForWorkers:
        """Extract it from a model

        Parameters
        ----------
        model : Model
        duration : float
            Length of training windows, in seconds.
        """
        sample_rate = model.hparams["sample_rate"]
        num_samples = round(duration * sample_rate)
        num_frames: Any = model.num_frames  # models have it, their base class does not declare it
        return cls(
            audio=model.audio,
            receptive_field=model.receptive_field,
            num_frames_of={num_samples: num_frames(num_samples)},
            sample_rate=sample_rate,
            local_rank=model.local_rank,
            global_rank=model.global_rank,
            current_epoch=model.current_epoch,
            num_batches=num_batches_seen(model),
        )

    def num_frames(self, num_samples: int) -> int:
        """Look up the number of output frames"""
        return self.num_frames_of[num_samples]

    @property
    def hparams(self) -> SimpleNamespace:
        """Hyper-parameters that tasks read"""
        return SimpleNamespace(sample_rate=self.sample_rate)


def num_batches_seen(model: Model | ModelForWorkers) -> int:
    """Count the batches of this epoch that were seen before an interruption"""
    if isinstance(model, ModelForWorkers):
        return model.num_batches
    return model.trainer.fit_loop.epoch_loop.batch_progress.current.ready


# forked processes share objects that cannot be pickled, and start at once. macOS: unsafe
START_METHOD = "fork" if "fork" in get_all_start_methods() and sys.platform != "darwin" else None

Loader = TypeVar("Loader", bound="DataLoader | None")


class Workers(Task):
    """Mixin for pyannote.audio's tasks: read audio in forked or spawned workers

    They are forked where possible (on Linux, including Python 3.14, which has another default), and
    spawned elsewhere (on Windows). Spawned workers receive a task without the attributes that
    samples do not need, since protocol and trainer cannot be pickled. Samples are the same.
    """

    model: Model

    # None is the default of Python
    start_method: str | None = START_METHOD

    # attributes that samples do not need
    not_for_workers: tuple[str, ...] = ("protocol", "trainer", "_metric", "decoded")

    def train_dataloader(self) -> DataLoader:
        """Make the loader of training samples"""
        return self._start(super().train_dataloader())

    def val_dataloader(self) -> DataLoader | None:
        """Make the loader of validation samples"""
        return self._start(super().val_dataloader())

    def _start(self, loader: Loader) -> Loader:
        if loader is not None and loader.num_workers:
            loader.multiprocessing_context = self.start_method
        return loader

    def __getstate__(self) -> dict[str, Any]:
        # models and tasks that are copied or saved keep all their attributes
        if get_spawning_popen() is None or not hasattr(self, "prepared_data"):
            return dict(self.__dict__)
        state = {k: value for k, value in self.__dict__.items() if k not in self.not_for_workers}
        return state | {"model": ModelForWorkers.of(self.model, self.duration)}
