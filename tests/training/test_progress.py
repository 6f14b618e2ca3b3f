"""A bar in a terminal, a line per epoch in a log"""

import io
import re

import lightning
import pytest
import torch
from helpers import QUIET
from rich.console import Console

from pyannote_prune.training.progress import StepProgress


class Logging(lightning.LightningModule):
    """What tasks log, and the same with each epoch but for its number"""

    def __init__(self, is_pruned: bool):
        super().__init__()
        self.layer, self.is_pruned = torch.nn.Linear(1, 1), is_pruned

    def training_step(self, batch, batch_idx):
        return {"loss": self.layer(batch).square().mean()}

    def validation_step(self, batch, batch_idx):
        self.log("loss/val", 0.5 + self.current_epoch)
        self.log("DiarizationErrorRate", 0.1234)
        if self.is_pruned:
            self.log("loss/distillation/val", 1.5)
            self.log("sparsity/expected/val", 0.789)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(console: Console, is_pruned: bool = False, **options):
    loader = torch.utils.data.DataLoader(torch.ones(3, 1))
    trainer = lightning.Trainer(
        **QUIET,
        max_epochs=2,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        callbacks=[StepProgress("Pruning", console)],
        **options,
    )
    trainer.fit(Logging(is_pruned), loader, loader)


class Flushed(io.StringIO):
    """What has been flushed so far"""

    def flush(self):
        self.flushed = self.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_pruned", [False, True])
def test_log_has_a_line_per_epoch_at_once(is_pruned):
    file = Flushed()
    train(Console(file=file, width=20), is_pruned)
    first, second = (
        f"validation loss {loss}, DER 12.3 %"
        if not is_pruned
        else f"distillation loss 1.5000, validation loss {loss}, DER 12.3 %, sparsity 78.9 %"
        for loss in ("0.5000", "1.5000")
    )
    assert file.flushed.splitlines() == [
        "Pruning, starts at epoch 1 of 2, of 3 batches each",
        f"Pruning, epoch 1 of 2: {first}",
        f"Pruning, epoch 2 of 2: {second}",
    ]


@pytest.mark.filterwarnings("ignore")
def test_terminal_has_a_bar_alone():
    file = io.StringIO()
    train(Console(file=file, width=100, force_terminal=True, force_interactive=True))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())
    assert "100%" in shown
    assert "loss" in shown
    assert "epoch" not in shown
