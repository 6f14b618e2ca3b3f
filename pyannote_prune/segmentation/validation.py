"""Validation over the samples of all processes"""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

import torch
from pyannote.audio.core.model import Model
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler
from torchmetrics import MeanMetric


class ValidationOfAllProcesses(Model):
    """Mixin for models: average validation values over all samples, each counted once

    pyannote.audio (4.0.7) logs the loss of each process alone, and Lightning (2.6) repeats samples
    so that all processes have the same number.
    """

    # share of this process in the development set, its batches, and its samples in the present one
    _share: DistributedSampler | None = None
    _batch_size: int = 1
    _num_validated: int | None = None

    # pyannote.audio promises a loader, and returns None where its task has no development set
    def val_dataloader(self) -> DataLoader | None:  # type: ignore[override]
        loader = super().val_dataloader()
        if loader is None or self.trainer.world_size == 1:
            self._share = None
            return loader
        self._share = DistributedSampler(
            loader.dataset, self.trainer.world_size, self.trainer.global_rank, shuffle=False
        )
        self._batch_size = loader.batch_size or 1
        return DataLoader(
            loader.dataset,
            batch_size=loader.batch_size,
            sampler=self._share,
            num_workers=loader.num_workers,
            pin_memory=loader.pin_memory,
            collate_fn=loader.collate_fn,
        )

    def on_validation_epoch_start(self) -> None:
        self._means: dict[str, MeanMetric] = {}

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> Any:
        if self._share is None:
            return super().validation_step(batch, batch_idx)
        batch_size = len(batch["X"])
        self._num_validated = num_samples_once(
            self._share, batch_idx * self._batch_size, batch_size
        )
        try:
            # a process without samples of its own also has to log
            kept = self._num_validated or batch_size
            return super().validation_step(first_samples(batch, kept, batch_size), batch_idx)
        finally:
            self._num_validated = None

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Log a value: see Lightning

        Tensors logged by a validation step are averaged over all samples of all processes.
        """
        if self._num_validated is not None and isinstance(value, Tensor):
            mean = self._means.setdefault(name, MeanMetric().to(self.device))
            mean.update(value.detach(), self._num_validated)
            value, kwargs = mean, kwargs | {"metric_attribute": f"_means.{name}"}
        super().log(name, value, *args, **kwargs)


def num_samples_once(share: DistributedSampler, first: int, num_samples: int) -> int:
    """Count the samples of a batch that no process has had before

    Processes take samples in turn. If the number of samples is no multiple of the number of
    processes, the first samples of the data set come again at the end.

    Parameters
    ----------
    share : torch.utils.data.DistributedSampler
        Without shuffling.
    first : int
        Index of the first sample of the batch in the share.
    num_samples : int
        Size of the batch.
    """
    place = share.rank + first * share.num_replicas
    own = -((place - len(cast(Sized, share.dataset))) // share.num_replicas)
    return max(0, min(num_samples, own))


def first_samples(batch: Any, kept: int, batch_size: int) -> Any:
    """Keep the first samples of a batch, in its tensors and in tensors of its dictionaries"""
    if isinstance(batch, dict):
        return {key: first_samples(value, kept, batch_size) for key, value in batch.items()}
    if isinstance(batch, torch.Tensor) and batch.ndim and len(batch) == batch_size:
        return batch[:kept]
    return batch
