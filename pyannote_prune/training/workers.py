"""Processes that read audio"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from multiprocessing import get_all_start_methods
from multiprocessing.context import get_spawning_popen
from types import SimpleNamespace
from typing import Any

from pyannote.audio import Audio, Model
from pyannote.core import SlidingWindow
from torch.utils.data import DataLoader


@dataclass(frozen=True)
class ModelForWorkers:
    """What pyannote.audio's tasks need of their model to prepare samples

    Parameters
    ----------
    audio : Audio
    receptive_field : SlidingWindow
    num_frames_of : dict of int
        Number of output frames, by number of input samples: those of a window.
    sample_rate : int
    local_rank, global_rank, current_epoch : int
        Place in the training, of which random numbers are made.
    num_batches : int
        Batches of that epoch that were seen before an interruption.
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
        """Those of a model that is trained with windows of that duration, in seconds"""
        sample_rate = model.hparams.sample_rate
        num_samples = round(duration * sample_rate)
        return cls(
            audio=model.audio,
            receptive_field=model.receptive_field,
            num_frames_of={num_samples: model.num_frames(num_samples)},
            sample_rate=sample_rate,
            local_rank=model.local_rank,
            global_rank=model.global_rank,
            current_epoch=model.current_epoch,
            num_batches=num_batches_seen(model),
        )

    def num_frames(self, num_samples: int) -> int:
        return self.num_frames_of[num_samples]

    @property
    def hparams(self) -> SimpleNamespace:
        return SimpleNamespace(sample_rate=self.sample_rate)


def num_batches_seen(model: Model | ModelForWorkers) -> int:
    """Batches of this epoch that were seen before an interruption"""
    if isinstance(model, ModelForWorkers):
        return model.num_batches
    return model.trainer.fit_loop.epoch_loop.batch_progress.current.ready


# forks share what cannot be pickled, and take no time to start. macOS has unsafe ones
START_METHOD = "fork" if "fork" in get_all_start_methods() and sys.platform != "darwin" else None


class Workers:
    """Mixin for pyannote.audio's tasks: workers that read audio, however processes are started

    They are forked where that is possible, on Linux that is, also since Python 3.14 has another
    default. Otherwise (Windows), they are spawned, with what samples are made of: the protocol and
    the trainer cannot be pickled. Samples are the same.
    """

    # None is the default of Python
    start_method: str | None = START_METHOD

    # what samples are not made of
    not_for_workers: tuple[str, ...] = ("protocol", "trainer", "_metric", "_kept")

    def train_dataloader(self) -> DataLoader:
        return self._start(super().train_dataloader())

    def val_dataloader(self) -> DataLoader | None:
        return self._start(super().val_dataloader())

    def _start(self, loader: DataLoader | None) -> DataLoader | None:
        if loader is not None and loader.num_workers:
            loader.multiprocessing_context = self.start_method
        return loader

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        # models and tasks that are copied, or saved, stay as they are
        if get_spawning_popen() is None or not hasattr(self, "prepared_data"):
            return state
        for name in self.not_for_workers:
            state.pop(name, None)
        return state | {"model": ModelForWorkers.of(self.model, self.duration)}
