"""Skip steps with a non-finite loss or gradient"""

from __future__ import annotations

import logging
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import get_total_norm

logger = logging.getLogger(__name__)


class SkipNonFinite(lightning.Callback):
    """Leave out steps whose loss or gradient is not finite, and stop after too many of them

    Such a step changes nothing: neither weights, nor the state of the optimizer, nor statistics of
    batch normalizations. Each of them is a warning that names files, those of the process that
    found the loss when there are several. Where half precision scales its loss, gradients that
    overflow are part of finding that scale, and do not count.

    Parameters
    ----------
    maximum : int, optional
        Number of steps to leave out, over the whole training. Defaults to 10.

    Raises
    ------
    ValueError
        At the next one: the message names step, files, and last checkpoint.
    """

    def __init__(self, maximum: int = 10):
        if maximum < 0:
            raise ValueError(f"`maximum` must not be negative, found {maximum}.")
        self.maximum = maximum
        self.num_skipped = 0
        self._start_step()

    def _start_step(self):
        self.files: list[Any] = []  # indices of each batch
        self.loss: float | None = None  # the first one that is not finite
        self.statistics: list[tuple[Tensor, Tensor]] = []

    def on_train_start(self, trainer, pl_module):
        self.buffers = running_statistics(pl_module)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        # batches that are accumulated into one step share their fate
        if not self.statistics:
            self.statistics = [(buffer, buffer.clone()) for buffer in self.buffers]
        self.files.append(batch.get("meta", {}).get("file", []))

    def on_before_backward(self, trainer, pl_module, loss):
        if self.loss is None and not torch.isfinite(loss):
            self.loss = loss.item()

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        is_scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        is_bad = self.loss is not None or not (is_scaled or has_finite_gradients(optimizer))
        # one process is enough: the mean of its gradients and those of others is not finite
        if trainer.strategy.reduce_boolean_decision(is_bad, all=False):
            self._skip(trainer, pl_module, optimizer)
        self._start_step()

    def _skip(self, trainer, pl_module, optimizer):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        for buffer, value in self.statistics:
            buffer.copy_(value)
        self.num_skipped += 1
        found = "gradient that is not" if self.loss is None else f"loss of {self.loss}"
        files = "files of another process, which names them"
        # all processes leave a step out together, hence are here together
        has_loss = trainer.strategy.reduce_boolean_decision(self.loss is not None, all=False)
        if self.loss is not None or not has_loss:
            paths = pl_module.task.prepared_data["audio-path"]
            indices = {int(index) for batch in self.files for index in batch}
            files = ", ".join(sorted({str(paths[index]) for index in indices}))
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

    def state_dict(self) -> dict[str, Any]:
        return {"num_skipped": self.num_skipped}

    def load_state_dict(self, state_dict: dict[str, Any]):
        self.num_skipped = state_dict["num_skipped"]


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Buffers that a forward pass changes in training mode"""
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    return [buffer for layer in layers for buffer in layer.buffers()]


def has_finite_gradients(optimizer: torch.optim.Optimizer) -> bool:
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
    return get_total_norm([g for g in gradients if g is not None]).isfinite().item()


def zero_of(module: nn.Module) -> Tensor:
    """Zero, of which all trained parameters of a module have a gradient"""
    return sum(0.0 * p.sum() for p in module.parameters() if p.requires_grad)
