"""Whatever produced a model, training is training: gates are drawn, dropout drops, norms learn"""

import logging

import lightning
import pytest
import torch
from conversations import generate_conversations
from helpers import QUIET, tiny_model
from pyannote.audio import Model
from pyannote.audio.tasks import SpeakerDiarization
from recipes import tiny_recipe
from torch import nn

import pyannote_prune.recipe.stages
from pyannote_prune import DistillationPruning, gate, load_diarizen, prune, save_checkpoint
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.training.non_finite import running_statistics
from pyannote_prune.training.progress import StepProgress
from pyannote_prune.wavlm.gates import gates_of

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")

OPTIONS = {"duration": 2.0, "batch_size": 4, "num_workers": 0}


def is_frozen(module: nn.Module) -> bool:
    """What takes no part in the output, such as the position bias of a WavLM without attention"""
    parameters = [*module.parameters()]
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


class Spy(lightning.Callback):
    """What the model does while it is trained"""

    def on_train_batch_start(self, trainer, model, batch, batch_idx):
        self.modes = {
            name: module.training for name, module in model.named_modules() if not is_frozen(module)
        }
        # heads are drawn at exactly 1 nineteen times out of twenty when training starts
        draws = [torch.stack([gates() for _ in range(100)]) for gates in gates_of(model)]
        self.gates = [not torch.equal(draw[0].expand_as(draw), draw) for draw in draws]
        # projections of all inputs to the Transformer are dropped now and then
        waveforms = batch["X"][:1, 0]
        with torch.no_grad():
            first, second = (model.wavlm(waveforms, layer_drop=0.0)[-1] for _ in range(2))
        self.is_random = not torch.equal(first, second)
        self.before = [buffer.clone() for buffer in running_statistics(model)]
        if isinstance(model.task, DistillationPruning):
            self.is_teacher_training = any(m.training for m in model.task.teacher.modules())

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        pairs = zip(self.before, running_statistics(model), strict=True)
        self.moved = [not torch.equal(before, after) for before, after in pairs]

    def check(self, has_gates: bool, head_learns: bool):
        assert all(self.modes.values()), [name for name, mode in self.modes.items() if not mode]
        assert bool(self.gates) == has_gates
        assert all(self.gates)
        assert self.is_random
        # only the head has batch normalizations
        assert self.moved
        assert all(self.moved) if head_learns else not any(self.moved)
        assert not getattr(self, "is_teacher_training", False)


def fit(model, spy, **options):
    options = {"max_steps": 2, "limit_val_batches": 1, "enable_checkpointing": False} | options
    # a sanity check comes first, after which Lightning puts modules back in their mode
    trainer = lightning.Trainer(callbacks=[spy], **QUIET, **options)
    trainer.fit(model)


def through_lightning(model, folder):
    save_checkpoint(model, folder / "model.ckpt")
    return Model.from_pretrained(folder / "model.ckpt")


def through_checkpoint(model, folder):
    save_checkpoint(model, folder / "model.ckpt")
    return load_checkpoint(folder / "model.ckpt")


def through_safetensors(model, folder):
    save_checkpoint(model, folder / "model.safetensors")
    return load_checkpoint(folder / "model.safetensors")


def through_diarizen(model, folder):
    write_stand_in(model, folder / "released")
    return load_diarizen(folder / "released")


WAYS = {
    "as it is": lambda model, folder: model,
    "Model.from_pretrained": through_lightning,
    "load_checkpoint": through_checkpoint,
    "safetensors": through_safetensors,
    "load_diarizen": through_diarizen,
    "prune": lambda model, folder: prune(gate(model)),
}


@pytest.mark.parametrize("way", WAYS)
def test_stock_task_trains_what_was_loaded(protocol, tmp_path, way):
    model = WAYS[way](tiny_model(), tmp_path).eval()
    model.task = SpeakerDiarization(protocol, max_speakers_per_chunk=3, **OPTIONS)
    fit(model, spy := Spy())
    spy.check(has_gates=False, head_learns=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task_first", [False, True], ids=["gate, task", "task, gate"])
def test_distillation_trains_what_was_loaded(protocol, tmp_path, way, task_first):
    """The task sets its teacher to evaluation mode, whose copy then has gates"""
    teacher = WAYS[way](tiny_model(), tmp_path)
    options = {"teacher": teacher, "target_sparsity": 0.5} | OPTIONS
    if task_first:
        teacher.train()
        task = DistillationPruning(protocol, **options)
        student = gate(teacher)
    else:
        student = gate(teacher.eval())
        task = DistillationPruning(protocol, **options)
    # teachers stay in evaluation mode, whoever does what with them
    teacher.train()
    student.task = task
    fit(student, spy := Spy())
    spy.check(has_gates=True, head_learns=False)


def test_layers_frozen_by_pyannote_stay_as_they_are(protocol):
    """`freeze_by_name` also switches dropout off: people do that on purpose"""
    model = tiny_model().train()
    model.freeze_by_name("wavlm")
    model.task = SpeakerDiarization(protocol, max_speakers_per_chunk=3, **OPTIONS)
    fit(model, spy := Spy())
    dropouts = {name: mode for name, mode in spy.modes.items() if name.startswith("wavlm.")}
    assert dropouts
    assert not any(dropouts.values())
    assert spy.modes["conformer"]
    assert not spy.is_random
    assert all(spy.moved)


class Interrupted(Exception):
    """What ends a training in this file"""


def test_every_stage_of_a_recipe_trains(tmp_path, monkeypatch):
    """Each of them is interrupted in its second epoch, and goes on in the next run"""
    titles = ("Fine-tuning", "Pruning", "Distilling", "Training")
    to_interrupt, spies = set(titles), {title: [] for title in titles}

    class SpyingProgress(StepProgress, Spy):
        def __init__(self, title):
            super().__init__(title)
            spies[title].append(self)

        def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
            StepProgress.on_train_batch_end(self, trainer, model, outputs, batch, batch_idx)
            Spy.on_train_batch_end(self, trainer, model, outputs, batch, batch_idx)
            if self.description in to_interrupt and trainer.current_epoch == 1:
                to_interrupt.remove(self.description)
                raise Interrupted

    monkeypatch.setattr(pyannote_prune.recipe.stages, "StepProgress", SpyingProgress)
    database = generate_conversations(tmp_path / "conversations")
    plain = tiny_recipe(database)
    for stage in plain["stages"].values():
        stage["max_steps_per_epoch"] = 2
    run = RecipeRun(Recipe.from_dict(plain), tmp_path / "run")
    for _ in titles:
        with pytest.raises(Interrupted):
            run()
    run()
    for title in titles:
        assert len(spies[title]) == 2
        for spy in spies[title]:
            spy.check(
                has_gates=title == "Pruning", head_learns=title in ("Fine-tuning", "Training")
            )


def test_dropout_of_the_head_is_among_the_modules_that_are_looked_at():
    """What these tests rely on"""
    model = tiny_model()
    assert any(isinstance(module, nn.Dropout) for module in model.conformer.modules())
    assert running_statistics(model)
    assert model.wavlm.config.dropout > 0
