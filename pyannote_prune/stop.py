"""Stopping a training that has gone wrong"""

from __future__ import annotations

import lightning
import torch


class StopAtNaN(lightning.Callback):
    """Stop before a loss that is not finite reaches the weights

    Raises
    ------
    ValueError
        At that step: the message names step, files, and last checkpoint.
    """

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.files = batch.get("meta", {}).get("file", [])

    def on_before_backward(self, trainer, pl_module, loss):
        if torch.isfinite(loss):
            return
        data = pl_module.task.prepared_data
        files = sorted({str(data["audio-path"][index]) for index in self.files})
        last = getattr(trainer.checkpoint_callback, "last_model_path", "") or "none yet"
        raise ValueError(
            f"The loss must be finite, found {loss.item()} at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch}) on {', '.join(files)}. Weights were not touched; last "
            f"checkpoint: {last}. Check these files, or lower learning rates."
        )
