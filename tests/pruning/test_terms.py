"""Terms of the loss of `DistillationPruning`, and their gradients"""

import lightning
import pytest
import torch
from students import DECISIONS, make_student, make_task

from pyannote_prune import (
    DistillationPruning,
)
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.training.task import ResumableDiarization

pytestmark = pytest.mark.filterwarnings("ignore")


def prepared(protocol, teacher, **options) -> DistillationPruning:
    """Task of a student with gates that are drawn, ready for its steps, without a trainer"""
    student = make_student(teacher).train()
    task = student.task = make_task(protocol, teacher, **options)
    task.prepare_data()
    student.setup()
    task.setup_loss_func()
    return task


def random_batch() -> dict:
    speakers = (torch.rand(2, 3, 3) > 0.5).repeat_interleave(33, dim=1)
    return {"X": torch.randn(2, 1, 32_000), "y": speakers.to(torch.uint8)}


@pytest.mark.parametrize("weights", [{"output_weight": 1.0}, {"task_weight": 1.0}])
def test_decisions_train_wavlm_through_a_head_that_does_not_change(protocol, teacher, weights):
    """Even in training mode: it has a dropout of 0.1, and a batch normalization"""
    task = prepared(protocol, teacher, l1_weight=0, cosine_weight=0, **weights)
    student, batch = task.student, random_batch()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    modes = {name: module.training for name, module in student.named_modules()}
    flags = {name: p.requires_grad for name, p in student.named_parameters()}
    task._sum(task.terms(batch)).backward()
    reached = {name for name, p in student.named_parameters() if p.grad is not None}
    assert reached
    assert all(name.startswith("wavlm.") for name in reached)
    assert any(name.endswith("log_alpha") for name in reached)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert {name: module.training for name, module in student.named_modules()} == modes
    assert {name: p.requires_grad for name, p in student.named_parameters()} == flags
    # the same would not hold for the head as it is
    student(batch["X"]).sum().backward()
    assert student.classifier.weight.grad is not None
    assert any((value != before[name]).any() for name, value in student.state_dict().items())


def test_terms_are_those_of_models_run_one_by_one(protocol, teacher):
    task = prepared(protocol, teacher, **DECISIONS)
    batch, reference = random_batch(), load_checkpoint(teacher)
    # gates that are not drawn
    student = task.student.eval()
    found = {name: term.item() for name, term in task.terms(batch).items()}
    scores, targets = student(batch["X"]), reference(batch["X"])
    expected = (targets.exp() * (targets - scores)).sum(-1).mean().item()
    assert found["output"] == pytest.approx(expected, rel=1e-4)
    assert found["output"] > 1e-4
    assert found["distillation"] == task.distance(batch["X"]).item()
    student.log = lambda *args, **options: None
    loss = super(ResumableDiarization, task).training_step(batch, 0)["loss"]
    assert found["task"] == loss.item()


def test_extractor_gradient_is_scaled(protocol, teacher):
    gradients = []
    for factor in (1.0, 0.1):
        lightning.seed_everything(0, verbose=False)
        student = make_student(teacher)
        task = make_task(protocol, teacher, extractor_gradient=factor)
        student.task = task
        task.prepare_data()
        student.setup()
        task.distance(
            torch.randn(1, 1, 8000, generator=torch.Generator().manual_seed(0))
        ).backward()
        convolution = student.wavlm.extractor.convolutions[2]
        gradients.append(
            (convolution.conv.weight.grad, student.wavlm.projection.linear.weight.grad)
        )
    (scaled, same), (full, reference) = gradients[1], gradients[0]
    torch.testing.assert_close(same, reference)
    torch.testing.assert_close(scaled, 0.1 * full)
