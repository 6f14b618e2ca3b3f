"""Progress of a training"""

from __future__ import annotations

import lightning
from rich import get_console
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

# values of an epoch, and how they are written
LOSSES = {"loss/distillation/val": "distillation loss", "loss/val": "validation loss"}


PERCENTAGES = {"DiarizationErrorRate": "DER", "sparsity/expected/val": "sparsity"}


class StepProgress(lightning.Callback):
    """One bar for all the steps of a training, with the loss, or a line per epoch in a log

    Parameters
    ----------
    description : str
        What is going on.
    console : rich.console.Console, optional
        Where it is shown. Defaults to standard output: a bar in a terminal or a notebook, lines in
        files and pipes.
    """

    def __init__(self, description: str, console: Console | None = None):
        self.description = description
        self.console = console or get_console()
        self.progress: Progress | None = None

    def on_train_start(self, trainer, pl_module):
        if not trainer.is_global_zero:
            return
        num_batches = trainer.num_training_batches
        if not (self.console.is_interactive or self.console.is_jupyter):
            epochs = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            self._print(f"starts at {epochs}, of {num_batches} batches each")
            return
        columns = (*Progress.get_default_columns(), TimeElapsedColumn())
        self.progress = Progress(*columns, TextColumn("{task.fields[loss]}"), console=self.console)
        self.progress.start()
        self.bar = self.progress.add_task(
            self.description,
            total=trainer.max_epochs * num_batches,
            completed=trainer.current_epoch * num_batches,
            loss="",
        )

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.progress is not None and outputs is not None:
            self.progress.update(self.bar, advance=1, loss=f"loss {outputs['loss']:.3f}")

    def on_train_epoch_end(self, trainer, pl_module):
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

    def on_train_end(self, trainer, pl_module):
        self._stop()

    def on_exception(self, trainer, pl_module, exception):
        self._stop()

    def _print(self, text: str):
        # rich flushes after each line
        line = f"{self.description}, {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _stop(self):
        if self.progress is not None:
            self.progress.stop()
