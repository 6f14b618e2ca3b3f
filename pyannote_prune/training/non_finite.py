"""Skip steps with a non-finite loss or gradient"""

from __future__ import annotations

import logging
from typing import Any, cast

import lightning
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

logger = logging.getLogger(__name__)

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class SkipNonFinite(lightning.Callback):
    """Skip steps whose loss or gradient is not finite, and raise an error after too many of them

    A skipped step changes nothing: neither weights, nor the state of the optimizer, nor statistics
    of batch normalizations. It is logged as a warning that names the files of the batch (in
    distributed training, by the process that has them). With `precision="16-mixed"`, gradients that
    overflow while the loss scale is adjusted do not count.

    Parameters
    ----------
    maximum : int, optional
        Number of steps to skip, over the whole training. Defaults to 10.

    Raises
    ------
    ValueError
        At the next such step: the message names step, files, and last checkpoint.
    """

    def __init__(self, maximum: int = 10):
        if maximum < 0:
            raise ValueError(f"`maximum` must not be negative, found {maximum}.")
        self.maximum = maximum
        self.num_skipped = 0
        self._start_step()

    def _start_step(self):
        self.files: list[Any] = []  # indices, for each batch
        self.loss: float | None = None  # first loss that is not finite
        self.statistics: list[tuple[Tensor, Tensor]] = []

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        self.buffers = running_statistics(pl_module)

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: dict[str, Any],
        batch_idx: int,
    ):
        # batches that are accumulated into one step are skipped together
        if not self.statistics:
            self.statistics = [(buffer, buffer.clone()) for buffer in self.buffers]
        self.files.append(batch.get("meta", {}).get("file", []))

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Tensor
    ):
        if self.loss is None and not torch.isfinite(loss):
            self.loss = loss.item()

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ):
        is_scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        is_bad = self.loss is not None or not (is_scaled or has_finite_gradients(optimizer))
        # one process is enough: gradients are averaged over processes
        if trainer.strategy.reduce_boolean_decision(is_bad, all=False):
            self._skip(trainer, pl_module, optimizer)
        self._start_step()

    def _skip(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ):
        self._undo(optimizer)
        self.num_skipped += 1
        found = "gradient that is not" if self.loss is None else f"loss of {self.loss}"
        files = self._files(trainer, pl_module)
        place = f"step {trainer.global_step} (epoch {trainer.current_epoch})"
        if self.num_skipped <= self.maximum:
            logger.warning(
                "Loss and gradient must be finite, found a %s at %s on %s: left out (%d of at most "
                "%d such steps).",
                *(found, place, files, self.num_skipped, self.maximum),
            )
            return
        last = getattr(trainer.checkpoint_callback, "last_model_path", "") or "none yet"
        raise ValueError(
            f"Loss and gradient must be finite, found a {found} at {place} on {files}, after "
            f"{self.maximum} other steps that were left out. Weights were not touched; last "
            f"checkpoint: {last}. Check these files, or lower learning rates."
        )

    def _undo(self, optimizer: torch.optim.Optimizer):
        """Remove gradients, and restore statistics of batch normalizations"""
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        for buffer, value in self.statistics:
            buffer.copy_(value)

    def _files(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> str:
        """Name the files of the step, or refer to the process whose loss is not finite

        All processes call this together: it communicates.
        """
        has_loss = trainer.strategy.reduce_boolean_decision(self.loss is not None, all=False)
        if self.loss is None and has_loss:
            return "files of another process, which names them"
        task: Any = pl_module.task
        paths = task.prepared_data["audio-path"]
        indices = {int(index) for batch in self.files for index in batch}
        return ", ".join(sorted({str(paths[index]) for index in indices}))

    def state_dict(self) -> dict[str, Any]:
        return {"num_skipped": self.num_skipped}

    def load_state_dict(self, state_dict: dict[str, Any]):
        self.num_skipped = state_dict["num_skipped"]


def running_statistics(module: nn.Module) -> list[Tensor]:
    """List the buffers that a forward pass changes in training mode"""
    layers = [layer for layer in module.modules() if isinstance(layer, BATCH_NORMS)]
    return [buffer for layer in layers for buffer in layer.buffers()]


def has_finite_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the norm of all gradients together is finite"""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
    return bool(get_total_norm([g for g in gradients if g is not None]).isfinite())


def zero_of(module: nn.Module) -> Tensor:
    """Compute a zero that depends on all trained parameters of a module, () torch.Tensor"""
    return cast(Tensor, sum(0.0 * p.sum() for p in module.parameters() if p.requires_grad))
