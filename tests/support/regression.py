"""Small network to train, with a scripted validation loss"""

import logging

import lightning
import pytest
import torch
from helpers import QUIET
from torch import nn

from pyannote_prune.training.best_checkpoints import BestCheckpoints

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
# marks of tests that train it
SMALL_TRAINING = [
    pytest.mark.usefixtures("single_thread"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*The number of training batches"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
]


class Regression(lightning.LightningModule):
    """Network that is clipped, gates that are not, and a scripted validation loss"""

    def __init__(self, script=()):
        super().__init__()
        self.script = script
        self.network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.gates = nn.Linear(8, 1)

    def training_step(self, batch, batch_idx):
        return self.gates(self.network(batch)).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("loss/val", self.script[min(self.current_epoch, len(self.script) - 1)])

    def configure_optimizers(self):
        groups = [
            {"params": self.network.parameters()},
            {"params": self.gates.parameters(), "clip": False},
        ]
        return torch.optim.Adam(groups, lr=0.1)

    def train_dataloader(self):
        # norms vary a lot from batch to batch
        generator = torch.Generator().manual_seed(1)
        scales = torch.rand(6, 1, 1, generator=generator) * 3
        data = torch.randn(6, 5, 4, generator=generator) * scales
        return torch.utils.data.DataLoader(data.flatten(0, 1), batch_size=5)

    def val_dataloader(self):
        return torch.utils.data.DataLoader(torch.randn(1, 4))


def train(model, callbacks, epochs, ckpt_path=None, **options):
    options = {"limit_val_batches": 0, "enable_checkpointing": False} | QUIET | options
    trainer = lightning.Trainer(max_epochs=epochs, callbacks=callbacks, **options)
    trainer.fit(model, ckpt_path=ckpt_path)
    return trainer


def validate(folder, script, epochs=None, resume=False, **options):
    """Train with these values as validation losses, for that many epochs (all by default)"""
    checkpoints = BestCheckpoints(folder, "loss/val", **options)
    train(
        Regression(script),
        [checkpoints],
        epochs=len(script) if epochs is None else epochs,
        ckpt_path=folder / "last.ckpt" if resume else None,
        limit_train_batches=1,
        limit_val_batches=1,
        enable_checkpointing=True,
    )
    return checkpoints
