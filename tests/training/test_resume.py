"""Random numbers of training: new ones at each step, the same when it is resumed"""

import logging

import lightning
import pytest
import torch
from helpers import QUIET, tiny_model
from lightning.pytorch.callbacks import ModelCheckpoint

from pyannote_prune import DistillationPruning, gate
from pyannote_prune.training.resume import step_seed

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


def test_no_two_steps_have_the_same_seed():
    places = [
        (seed, rank, epoch, batch)
        for seed in (0, 3407)
        for rank in range(3)
        for epoch in range(150)
        for batch in range(100)
    ]
    assert len(places) == 90_000
    seeds = {step_seed(*place) for place in places}
    assert len(seeds) == len(places)
    # noise is drawn from all of them
    for seed in list(seeds)[:100]:
        torch.manual_seed(seed)
    assert all(0 <= seed < 2**64 for seed in seeds)


class Gates(lightning.Callback):
    """First random number of each step"""

    def __init__(self):
        self.drawn = []

    def on_before_zero_grad(self, trainer, model, optimizer):
        self.drawn.append(torch.rand(()).item())


def draw(protocol, max_steps, folder=None, ckpt_path=None):
    teacher = tiny_model()
    student = gate(teacher)
    options = {"duration": 2.0, "batch_size": 4, "num_workers": 0}
    student.task = DistillationPruning(protocol, teacher=teacher, target_sparsity=0.5, **options)
    callbacks = [gates := Gates()]
    if folder is not None:
        callbacks.append(ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1))
    options = {"enable_checkpointing": folder is not None, "limit_val_batches": 0}
    trainer = lightning.Trainer(max_steps=max_steps, callbacks=callbacks, **options, **QUIET)
    trainer.fit(student, ckpt_path=ckpt_path)
    return gates.drawn


def test_seed_of_torch_counts_where_lightning_has_none(protocol, tmp_path, monkeypatch):
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    found = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        found.append(draw(protocol, 3, tmp_path / f"{len(found)}"))
    assert found[0] == found[2] != found[1]
    assert len(set(found[0])) == 3

    # an interrupted training goes on with its own seed, whatever the present one is
    torch.manual_seed(7)
    assert draw(protocol, 3, ckpt_path=tmp_path / "0" / "step=1.ckpt") == found[0][1:]


def test_global_seed_of_lightning_comes_first(protocol, tmp_path, monkeypatch):
    found = []
    for seed in (1, 2, 1):
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        torch.manual_seed(len(found))
        found.append(draw(protocol, 2))
    assert found[0] == found[2] != found[1]
