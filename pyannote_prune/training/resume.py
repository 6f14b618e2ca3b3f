"""Resume training exactly: samples and random numbers"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from pyannote.audio import Model
from pyannote.audio.core.task import Task
from pyannote.database import Protocol
from torch.utils.data import get_worker_info

from ..data.protocol import check_protocol, protocol_name
from ..files.atomic import draft_of, writing
from .devices import process_rank
from .pyannote_repairs import act_as_worker
from .workers import num_batches_seen


class ResumableSamples(Task):
    """Mixin for pyannote.audio's tasks: skip training samples that were seen before an interruption

    pyannote.audio derives the samples of each worker from global seed, rank, worker and epoch.

    Parameters
    ----------
    folder : Path, optional
        Folder of prepared data, which all machines share. Defaults to a temporary file.

    Raises
    ------
    ValueError
        Before training, if there is nothing to train on.
    """

    model: Model
    protocol: Protocol

    def __init__(self, *args: Any, folder: Path | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.folder = folder

    def configure_callbacks(self) -> list[lightning.Callback]:
        """List the callbacks that `WavLMSegmentation` adds to the trainer"""
        return [SeedEachStep()]

    def prepare_data(self):
        """Prepare data, or raise an error that names the file to correct"""
        if self.folder is not None:
            # called in the first process of each machine
            if process_rank() > 0:
                return
            self.cache = draft_of(self.folder / "data")
        try:
            with writing(self.folder / "data" if self.folder else tempfile.gettempdir()):
                super().prepare_data()
        except Exception as error:
            check_protocol(self.protocol, self.duration, getattr(self, "in_memory", False))
            if isinstance(error, OSError):
                raise
            raise ValueError(
                f"pyannote.audio cannot prepare the data of {protocol_name(self.protocol)} "
                f"({type(error).__name__}: {error})."
            ) from error

    def train__iter__(self) -> Iterator[dict]:
        """Iterate over training samples, from where training was interrupted

        Yields
        ------
        sample : dict
            See `pyannote.audio.tasks.SpeakerDiarization`.
        """
        num_batches = num_batches_seen(self.model)
        worker = get_worker_info()
        if worker is not None:
            # workers make batches in turn, and the first one always starts: each of them takes over
            # from the worker whose turn it was
            turn = (worker.id + num_batches) % worker.num_workers
            act_as_worker(worker, turn)
            num_batches = max(0, math.ceil((num_batches - turn) / worker.num_workers))
        samples = super().train__iter__()
        for _ in range(num_batches * self.batch_size):
            next(samples)
        yield from samples


class SeedEachStep(lightning.Callback):
    """Seed torch before each training batch, from rank, epoch and index of the batch

    Dropout and gates are then the same whether training was interrupted or not. The seed of the
    whole training comes from `lightning.seed_everything`, or else from the checkpoint that is
    resumed, or else from `torch.manual_seed`.
    """

    def __init__(self):
        self.seed: int | None = None

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        if "PL_GLOBAL_SEED" in os.environ:
            self.seed = int(os.environ["PL_GLOBAL_SEED"])
        elif self.seed is None:
            self.seed = torch.initial_seed()
        self.seed = trainer.strategy.broadcast(self.seed)

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ):
        assert self.seed is not None  # since `on_fit_start`
        place = (trainer.global_rank, trainer.current_epoch, batch_idx)
        torch.manual_seed(step_seed(self.seed, *place))

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def load_state_dict(self, state_dict: dict[str, Any]):
        self.seed = state_dict["seed"]


def step_seed(seed: int, rank: int, epoch: int, batch_idx: int) -> int:
    """Hash the place of a training batch into a seed of 64 bits"""
    place = repr((seed, rank, epoch, batch_idx)).encode()
    return int.from_bytes(hashlib.blake2b(place, digest_size=8).digest(), "big")
