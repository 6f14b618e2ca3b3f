"""Keep the best checkpoints of a training"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from .options import check_at_least


@dataclass(frozen=True)
class Near:
    """Condition on a logged value: close to a target

    Parameters
    ----------
    name : str
        Name of the logged value.
    value : float
        Target.
    tolerance : float
        Largest difference.
    """

    name: str
    value: float
    tolerance: float


class BestCheckpoints(ModelCheckpoint):
    """Keep the best checkpoints among the epochs that count, and the last one

    While sparsity increases, the distillation loss first rises, then falls. Epochs before its peak
    belong to a less pruned model: their loss is lower, and yet they must not be chosen. A new peak
    deletes the checkpoints chosen before it. Epochs that have pruned too little, or too much, can
    be left out as well: see `near`. The choice depends on the values of all epochs, which are the
    only state, and on the files that exist: training can be resumed, and the folder can be moved.

    Parameters
    ----------
    dirpath : str or Path
        Local folder, for `epoch-000.ckpt` (first epoch), `epoch-001.ckpt`, ... and `last.ckpt`.
    monitor : str
        Name of the logged value, read after each validation.
    mode : {"min", "max"}, optional
        Whether low or high values are best. Defaults to "min".
    num_best : int, optional
        Number of checkpoints to keep besides the last one. Defaults to 5.
    first_epoch : int, optional
        First epoch to count, from 0, e.g. the first one after the sparsity warm-up. Defaults to 0.
    after_peak : bool, optional
        Only count epochs after the one with the highest value so far (the first one among equals).
        Needs `mode="min"`. Defaults to False.
    patience : int, optional
        Stop training after that many counted epochs without a better value. Defaults to never.
    near : Near, optional
        Only count epochs where another logged value is near its target. Defaults to all epochs.

    Raises
    ------
    ValueError
        If an option is impossible, or if a value that it names is not logged.
    """

    monitor: str

    def __init__(
        self,
        dirpath: str | Path,
        monitor: str,
        mode: str = "min",
        num_best: int = 5,
        first_epoch: int = 0,
        after_peak: bool = False,
        patience: int | None = None,
        near: Near | None = None,
    ):
        modes = ("min",) if after_peak else ("min", "max")
        if mode not in modes:
            raise ValueError(f"`mode` must be in {modes} if {after_peak=}, found {mode!r}.")
        check_at_least(0, first_epoch=first_epoch)
        check_at_least(1, num_best=num_best, patience=patience)
        options: dict[str, Any] = {
            "auto_insert_metric_name": False,
            "save_on_train_epoch_end": False,
        }
        options |= {"mode": mode, "save_top_k": num_best}
        super().__init__(dirpath, "epoch-{epoch:03d}", monitor, **options)
        self.first_epoch, self.after_peak, self.patience = first_epoch, after_peak, patience
        self.near = near
        self.values: dict[int, float] = {}
        self.near_values: dict[int, float] = {}

    @property
    def counted(self) -> list[int]:
        """Epochs that count, increasing"""
        start, finite = self.first_epoch, self._finite(self.values)
        if self.after_peak and finite:
            start = max(start, max(finite, key=self.values.__getitem__) + 1)
        return [epoch for epoch in self.values if epoch >= start and self._is_near(epoch)]

    @property
    def ranking(self) -> list[int]:
        """Counted epochs of finite value, best first, then earliest first"""
        epochs = self._finite(self.counted)
        return sorted(epochs, key=self.values.__getitem__, reverse=self.mode == "max")

    @property
    def best_paths(self) -> list[Path]:
        """Chosen checkpoints, best first"""
        return [self._path(epoch) for epoch in self._chosen()]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        # patience that ran out before the interruption stays exhausted
        self._stop_early(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        if (
            trainer.state.fn != TrainerFn.FITTING
            or trainer.sanity_checking
            or getattr(trainer, "fast_dev_run", False)
        ):
            return
        # saving is collective: the first process decides for all
        epoch, broadcast = trainer.current_epoch, trainer.strategy.broadcast
        self.values[epoch] = broadcast(_logged(trainer, "monitor", self.monitor))
        if self.near is not None:
            self.near_values[epoch] = broadcast(_logged(trainer, "near.name", self.near.name))
        chosen = broadcast(self._chosen(saving=epoch))
        # a resumed training does not log the epochs before its checkpoint again
        for logger in trainer.loggers:
            logger.save()
        # attributes that loggers and `ckpt_path="best"` read
        self.current_score = torch.tensor(self.values[epoch])
        self.best_k_models = {str(self._path(e)): torch.tensor(self.values[e]) for e in chosen}
        self.best_model_path = next(iter(self.best_k_models), "")
        self.best_model_score = self.best_k_models.get(self.best_model_path)
        self.last_model_path = self.format_checkpoint_name({}, self.CHECKPOINT_NAME_LAST)
        if epoch in chosen:
            self._save_checkpoint(trainer, str(self._path(epoch)))
        self._save_checkpoint(trainer, self.last_model_path)
        # deleted last: wherever training is killed, the files chosen in `last.ckpt` exist
        for other in self.values.keys() - chosen:
            trainer.strategy.remove_checkpoint(self._path(other))
        self._stop_early(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"values": dict(self.values), "near_values": dict(self.near_values)}

    def load_state_dict(self, state_dict: dict[str, Any]):
        self.values = dict(state_dict["values"])
        # absent in checkpoints of release 0.1.0
        self.near_values = dict(state_dict.get("near_values", {}))

    def _is_near(self, epoch: int) -> bool:
        if self.near is None:
            return True
        found = self.near_values.get(epoch, math.nan)
        return abs(found - self.near.value) <= self.near.tolerance

    def _finite(self, epochs: Iterable[int]) -> list[int]:
        return [epoch for epoch in epochs if math.isfinite(self.values[epoch])]

    def _path(self, epoch: int) -> Path:
        metrics: dict[str, Any] = {"epoch": epoch}
        return Path(self.format_checkpoint_name(metrics))

    def _chosen(self, saving: int | None = None) -> list[int]:
        """Best counted epochs, best first, among those whose file exists or is being saved"""
        return [e for e in self.ranking if e == saving or self._path(e).exists()][: self.save_top_k]

    def _stop_early(self, trainer: lightning.Trainer):
        best = next(iter(self.ranking), -1)
        waited = sum(epoch > best for epoch in self.counted)
        if self.patience is not None and waited >= self.patience:
            trainer.should_stop = True


def _logged(trainer: lightning.Trainer, option: str, name: str) -> float:
    if name not in trainer.callback_metrics:
        logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
        raise ValueError(f"`{option}` must be logged ({logged} is), found {name!r}.")
    return float(trainer.callback_metrics[name])
