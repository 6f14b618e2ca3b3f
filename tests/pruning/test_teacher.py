"""Soft targets of a teacher beside references, and what students say about their teacher"""

from dataclasses import replace

import lightning
import pytest
import torch
from helpers import QUIET, tiny_model
from lightning.pytorch.callbacks import ModelCheckpoint

from pyannote_prune import DistillationPruning, save_checkpoint
from pyannote_prune.pruning.teacher import DiarizationWithTeacher
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.licences import NON_COMMERCIAL
from pyannote_prune.segmentation.provenance import Provenance
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.training.task import ResumableDiarization

pytestmark = pytest.mark.filterwarnings("ignore")
OPTIONS = {"duration": 2.0, "batch_size": 4, "num_workers": 0, "in_memory": True}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "teacher.ckpt"
    save_checkpoint(tiny_model(), path)
    return path


def make_student(protocol, task=DiarizationWithTeacher, **options):
    torch.manual_seed(1)
    student = tiny_model()
    student.task = task(protocol, **OPTIONS, **options)
    return student


class Losses(lightning.Callback):
    """Loss of each step"""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.values.append(outputs["loss"].item())


def fit(student, max_steps, folder=None, ckpt_path=None):
    lightning.seed_everything(0, verbose=False)
    callbacks = [losses := Losses()]
    if folder is not None:
        callbacks.append(ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1))
    options = {"enable_checkpointing": folder is not None, "limit_val_batches": 1}
    trainer = lightning.Trainer(max_steps=max_steps, callbacks=callbacks, **options, **QUIET)
    trainer.fit(student, ckpt_path=ckpt_path)
    return trainer, losses.values


def test_loss_is_that_of_references_plus_that_of_the_teacher(protocol, teacher):
    """And without any weight left, that of the ordinary task: same model, same windows"""
    options = {"max_speakers_per_chunk": 3, "max_speakers_per_frame": 2}
    _, (plain,) = fit(make_student(protocol, ResumableDiarization, **options), 1)
    found = []
    for weight in (0.5, 2.0):
        task = {"teacher": teacher, "teacher_weight": weight}
        trainer, (loss,) = fit(make_student(protocol, **task), 1)
        divergence = trainer.callback_metrics["loss/output"].item()
        assert divergence > 1e-3
        assert trainer.callback_metrics["loss/train"].item() == plain
        assert loss == pytest.approx(plain + weight * divergence, rel=1e-6)
        found.append(divergence)
    assert found[0] == found[1]


def test_interrupted_training_matches_an_uninterrupted_one(protocol, teacher, tmp_path):
    """Its checkpoints hold the student alone"""
    _, losses = fit(student := make_student(protocol, teacher=teacher), 5, tmp_path)
    path = tmp_path / "step=2.ckpt"
    _, rest = fit(resumed := make_student(protocol, teacher=teacher), 5, ckpt_path=path)
    assert rest == losses[2:]
    expected = student.state_dict()
    assert all(torch.equal(value, expected[k]) for k, value in resumed.state_dict().items())
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert saved.keys() == expected.keys()


def test_teacher_stays_as_it_is_while_the_whole_student_learns(protocol, teacher):
    student = make_student(protocol, teacher=(frozen := load_checkpoint(teacher).train()))
    before = {name: p.clone() for name, p in student.named_parameters()}
    fit(student, 3)
    learned = {name for name, p in student.named_parameters() if not torch.equal(p, before[name])}
    assert learned >= {"classifier.weight", "layer_weights", "projection.weight"}
    assert any(name.startswith("wavlm.layers.0") for name in learned)
    expected = load_checkpoint(teacher).state_dict()
    assert all(torch.equal(value, expected[k]) for k, value in frozen.state_dict().items())
    assert all(p.grad is None for p in frozen.parameters())


@pytest.mark.parametrize("licence", [NON_COMMERCIAL, None])
@pytest.mark.parametrize("task", [DiarizationWithTeacher, DistillationPruning])
def test_students_have_the_licence_of_their_teacher(protocol, task, licence, tmp_path):
    """They started from other weights. Of a teacher that says nothing, they say nothing"""
    teacher = tiny_model()
    if licence:
        teacher.provenance = Provenance("BUT-FIT/x", "DiariZen", licence)
    options = {"target_sparsity": None} if task is DistillationPruning else {}
    student = make_student(protocol, task, teacher=teacher, **options)
    student.provenance = own = Provenance("mine", licence="MIT")
    fit(student, 1)
    save_checkpoint(student, tmp_path / "student.ckpt")
    found = load_checkpoint(tmp_path / "student.ckpt").provenance
    released = {"owner": "DiariZen", "licence": licence, "teachers": ("BUT-FIT/x",)}
    assert found == replace(own.trained(protocol.name), **(released if licence else {}))


@pytest.mark.parametrize("weight", [0, -1.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(protocol, teacher, weight):
    with pytest.raises(ValueError, match=r"`teacher_weight` must be above 0 and finite, found"):
        make_student(protocol, teacher=teacher, teacher_weight=weight)


def test_classes_are_those_of_the_teacher(protocol):
    teacher = tiny_model()
    teacher.specifications = powerset_specifications(2.0, 5, 2)
    teacher.setup()
    with pytest.raises(ValueError, match=r"`max_speakers_per_chunk` must be .*\(5\), found 3"):
        make_student(protocol, teacher=teacher, max_speakers_per_chunk=3)
