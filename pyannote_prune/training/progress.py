"""Show the progress of a training"""

from __future__ import annotations

from typing import Any

import lightning
from rich import get_console
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

# logged values of an epoch, and their names in text
LOSSES = {
    "loss/distillation/val": "distillation loss",
    "loss/output/val": "output divergence",
    "loss/total/val": "total loss",
    "loss/val": "validation loss",
}
PERCENTAGES = {"DiarizationErrorRate": "DER", "sparsity/expected/val": "sparsity"}


class StepProgress(lightning.Callback):
    """Show one progress bar for all steps of a training, or print a line per epoch

    Parameters
    ----------
    description : str
        Name of the training.
    console : rich.console.Console, optional
        Defaults to standard output. Terminals and notebooks show a bar with the loss, files and
        pipes receive lines.
    """

    def __init__(self, description: str, console: Console | None = None):
        self.description = description
        self.console = console or get_console()
        self.progress: Progress | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        if not trainer.is_global_zero:
            return
        num_batches: Any = trainer.num_training_batches  # an integer, unless data has no end
        if not (self.console.is_interactive or self.console.is_jupyter):
            epochs = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            self._print(f"starts at {epochs}, of {num_batches} batches each")
            return
        columns = (*Progress.get_default_columns(), TimeElapsedColumn())
        self.progress = Progress(*columns, TextColumn("{task.fields[loss]}"), console=self.console)
        self.progress.start()
        self.bar = self.progress.add_task(
            self.description,
            total=(trainer.max_epochs or 0) * num_batches,
            completed=trainer.current_epoch * num_batches,
            loss="",
        )

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ):
        if self.progress is not None and outputs is not None:
            self.progress.update(self.bar, advance=1, loss=f"loss {outputs['loss']:.3f}")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        if not trainer.is_global_zero or self.progress is not None:
            return
        logged = trainer.callback_metrics
        values = [f"{text} {logged[name]:.4f}" for name, text in LOSSES.items() if name in logged]
        values += [
            f"{text} {100 * logged[name]:.1f} %"
            for name, text in PERCENTAGES.items()
            if name in logged
        ]
        epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self._print(f"{epoch}: {', '.join(values)}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule):
        self._stop()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ):
        self._stop()

    def _print(self, text: str):
        # rich flushes after each line
        line = f"{self.description}, {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _stop(self):
        if self.progress is not None:
            self.progress.stop()
