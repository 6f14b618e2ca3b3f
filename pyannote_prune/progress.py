"""Progress of a training"""

from __future__ import annotations

import lightning
from rich.progress import Progress, TextColumn, TimeElapsedColumn


class StepProgress(lightning.Callback):
    """One bar for all the steps of a training, with the loss

    Parameters
    ----------
    description : str
        What is going on.
    """

    def __init__(self, description: str):
        self.description = description
        self.progress: Progress | None = None

    def on_train_start(self, trainer, pl_module):
        if not trainer.is_global_zero:
            return
        columns = (*Progress.get_default_columns(), TimeElapsedColumn())
        self.progress = Progress(*columns, TextColumn("{task.fields[loss]}"))
        self.progress.start()
        num_batches = trainer.num_training_batches
        self.bar = self.progress.add_task(
            self.description,
            total=trainer.max_epochs * num_batches,
            completed=trainer.current_epoch * num_batches,
            loss="",
        )

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.progress is not None and outputs is not None:
            self.progress.update(self.bar, advance=1, loss=f"loss {outputs['loss']:.3f}")

    def on_train_end(self, trainer, pl_module):
        self._stop()

    def on_exception(self, trainer, pl_module, exception):
        self._stop()

    def _stop(self):
        if self.progress is not None:
            self.progress.stop()
