"""`DistillationPruning`, with an unchanged Lightning Trainer"""

import logging
import math
from types import SimpleNamespace

import lightning
import pytest
import torch
from helpers import CONFORMER, QUIET, tiny_config, tiny_model
from lightning.pytorch.callbacks import ModelCheckpoint
from pyannote.audio import Model, tasks
from students import DECISIONS, DURATION, UNITS, make_student, make_task

from pyannote_prune import (
    DistillationPruning,
    WavLM,
    WavLMSegmentation,
    cost,
    gate,
    prune,
    save_checkpoint,
)
from pyannote_prune.pruning.sparsity import expected_sparsity
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.cost import model_cost
from pyannote_prune.segmentation.head import Head, LinearOptions, LSTMOptions
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.segmentation.units import HEAD_UNITS
from pyannote_prune.wavlm.gates import gates_of

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


class Recorder(lightning.Callback):
    """Losses, gates and multipliers after each step"""

    def __init__(self):
        self.steps = []

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        gates = torch.cat([gates.log_alpha.detach() for gates in gates_of(model)])
        multipliers = [p.item() for p in model.loss_func.parameters()]
        self.steps.append((outputs["loss"].item(), gates.sum().item(), *multipliers))


def fit(
    protocol,
    teacher,
    max_steps,
    folder=None,
    ckpt_path=None,
    trainer_options=None,
    units=UNITS,
    **options,
):
    lightning.seed_everything(0, verbose=False)
    student = make_student(teacher, units)
    student.task = make_task(protocol, teacher, **options)
    callbacks = [Recorder()]
    if folder is not None:
        callbacks.append(ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1))
    options = {"enable_checkpointing": folder is not None, "limit_val_batches": 1}
    trainer = lightning.Trainer(
        max_steps=max_steps, callbacks=callbacks, **(QUIET | options | (trainer_options or {}))
    )
    trainer.fit(student, ckpt_path=ckpt_path)
    return trainer, student, callbacks[0].steps


def test_task_is_among_those_of_pyannote():
    assert tasks.DistillationPruning is DistillationPruning


def test_fit_logs_what_is_needed_to_watch_it(protocol, teacher):
    options = {"limit_train_batches": 2}
    names = ["loss/distillation", "loss/sparsity", "sparsity/expected", "sparsity/target"]
    names += ["lambda/1", "lambda/2", "loss/distillation/val", "loss/val", "DiarizationErrorRate"]
    decisions = ["loss/output", "loss/task", "loss/output/val", "loss/task/val", "loss/total/val"]
    for weights, expected in (({}, names), (DECISIONS, names + decisions)):
        trainer, student, _ = fit(protocol, teacher, 2, trainer_options=options, **weights)
        logged = trainer.callback_metrics
        for name in expected:
            assert torch.isfinite(logged[name]), name
        assert weights or not logged.keys() & {*decisions}
        assert student.task.monitor in logged
    total = logged["loss/distillation/val"] + 0.7 * logged["loss/output/val"]
    total += 0.3 * logged["loss/task/val"]
    assert logged[student.task.monitor].item() == pytest.approx(total.item(), rel=1e-5)
    # the head is not trained: its loss is that of validation, whichever way it was computed
    assert logged["loss/task/val"].item() == pytest.approx(logged["loss/val"].item(), rel=1e-5)


def test_sparsity_follows_the_target_and_the_head_stays(protocol, teacher):
    before = load_checkpoint(teacher)
    _, student, _ = fit(protocol, teacher, max_steps=40, gate_learning_rate=0.2)
    dense = cost(before.wavlm)
    start = expected_sparsity(make_student(teacher).wavlm, dense).item()
    assert expected_sparsity(student.wavlm, dense).item() > start + 0.1
    for name, value in before.state_dict().items():
        if not name.startswith("wavlm."):
            assert torch.equal(student.state_dict()[name], value), name
    pruned = prune(student)
    assert cost(pruned.wavlm).parameters < dense.parameters
    assert all(parameter.requires_grad for parameter in pruned.classifier.parameters())


@pytest.mark.parametrize(("num_workers", "weights"), [(0, DECISIONS), (2, {})])
def test_interrupted_training_matches_an_uninterrupted_one(
    protocol, teacher, tmp_path, num_workers, weights
):
    """Stopped in the middle of an epoch, and after it"""
    options = {"num_workers": num_workers, **weights}
    trainer, student, steps = fit(protocol, teacher, 25, tmp_path / "whole", **options)
    assert trainer.num_training_batches < 22
    for stop in (5, 22):
        path = tmp_path / "whole" / f"step={stop}.ckpt"
        _, resumed, rest = fit(protocol, teacher, 25, ckpt_path=path, **options)
        assert rest == steps[stop:]
        expected = student.state_dict()
        for name, value in resumed.state_dict().items():
            assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(
    "head",
    [
        Head(
            mixture="softmax",
            projection=False,
            conformer=CONFORMER | {"input_dim": 48},
            linear=LinearOptions(12, 1),
        ),
        Head(mixture="last", projection=False, lstm=LSTMOptions(8, 2, dropout=0.1)),
    ],
    ids=["SUPlime", "SSeRiouSS"],
)
def test_other_heads_resume_as_well(protocol, tmp_path, head):
    model = WavLMSegmentation(wavlm=tiny_config(), head=head)
    model.specifications = tiny_model().specifications
    model.setup()
    save_checkpoint(model, tmp_path / "teacher.ckpt")
    _, student, steps = fit(protocol, tmp_path / "teacher.ckpt", 7, tmp_path, **DECISIONS)
    path = tmp_path / "step=5.ckpt"
    _, resumed, rest = fit(protocol, tmp_path / "teacher.ckpt", 7, ckpt_path=path, **DECISIONS)
    assert rest == steps[5:]
    expected = student.state_dict()
    assert all(torch.equal(value, expected[k]) for k, value in resumed.state_dict().items())
    for name, value in model.state_dict().items():
        assert name.startswith("wavlm.") or torch.equal(expected[name], value), name


def test_head_with_gates_is_trained_and_resumed(protocol, teacher, tmp_path):
    """In training mode, classifier included, to the sparsity of the whole model"""
    units = (*UNITS, *HEAD_UNITS)
    # multipliers have few steps to grow
    rates = {"gate_learning_rate": 0.2, "multiplier_learning_rate": 5.0, "warm_up_epochs": 0}
    options = {"scope": "model", "units": units, **rates, **DECISIONS}
    before = gate(load_checkpoint(teacher), units)
    _, student, steps = fit(protocol, teacher, 15, tmp_path, **options)
    trained = student.state_dict()
    for name, parameter in before.named_parameters():
        if not name.startswith("wavlm."):
            assert not torch.equal(trained[name], parameter), name
    assert trained["conformer.conformer_layers.0.conv_module.sequential.3.num_batches_tracked"] > 0
    dense = model_cost(load_checkpoint(teacher))
    assert expected_sparsity(student, dense) > expected_sparsity(before, dense) + 0.02

    _, resumed, rest = fit(protocol, teacher, 15, ckpt_path=tmp_path / "step=5.ckpt", **options)
    assert rest == steps[5:]
    assert all(torch.equal(value, trained[k]) for k, value in resumed.state_dict().items())

    pruned = prune(student, 0.5, scope="model")
    left = model_cost(pruned).parameters / dense.parameters
    assert left == pytest.approx(0.5, abs=0.01)
    assert pruned.head.is_pruned


def test_checkpoint_holds_the_student_alone(protocol, teacher, tmp_path):
    _, student, _ = fit(protocol, teacher, 1, tmp_path)
    content = torch.load(tmp_path / "step=1.ckpt", weights_only=True)
    assert len(content["state_dict"]) == len(student.state_dict())
    loaded = Model.from_pretrained(tmp_path / "step=1.ckpt", strict=False)
    waveforms = torch.randn(1, 1, 8000)
    assert torch.equal(loaded.eval()(waveforms), student.eval()(waveforms))


def test_bfloat16_autocast_and_accumulation(protocol, teacher):
    options = {"precision": "bf16-mixed", "accumulate_grad_batches": 3}
    trainer, _, steps = fit(protocol, teacher, 3, trainer_options=options)
    assert trainer.global_step == 3
    # the last step of an epoch has the batches that are left
    epochs, rest = divmod(3, math.ceil(trainer.num_training_batches / 3))
    assert len(steps) == epochs * trainer.num_training_batches + 3 * rest
    assert all(torch.isfinite(torch.tensor(step)).all() for step in steps)


def test_distillation_without_pruning(protocol, teacher):
    lightning.seed_everything(0, verbose=False)
    gated = make_student(teacher)
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.normal_(0, 3)
    student = prune(gated)
    student.task = make_task(protocol, teacher, target_sparsity=None, learning_rate=2e-3)
    trainer = lightning.Trainer(
        max_steps=30, callbacks=[Distances()], enable_checkpointing=False, **QUIET
    )
    trainer.fit(student)
    first, *_, last = trainer.callbacks[0].values
    assert last < first


class Distances(lightning.Callback):
    """Distance to the teacher on the development set"""

    def __init__(self):
        self.values = []

    def on_validation_epoch_end(self, trainer, model):
        self.values.append(float(trainer.callback_metrics["loss/distillation/val"]))


def changed_by_fine_tuning(protocol, model) -> set[str]:
    """Names of the tensors that a later training of everything changes"""
    lightning.seed_everything(0, verbose=False)
    options = {"max_speakers_per_chunk": 3, "duration": DURATION, "batch_size": 4}
    model.task = tasks.SpeakerDiarization(protocol, num_workers=0, **options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = {"max_steps": 3, "limit_val_batches": 0, "enable_checkpointing": False}
    lightning.Trainer(**QUIET, **options).fit(model)
    return {name for name, value in model.state_dict().items() if (value != before[name]).any()}


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_what_distillation_trained_is_as_a_fresh_load_of_it(protocol, tmp_path, large):
    """Nothing of the task stays with the model: what later trains, trains what it should"""
    teacher = tiny_model(tiny_config(large, layer_drop=0.1), duration=DURATION)
    student = prune(gate(teacher))
    flags = {name: p.requires_grad for name, p in student.named_parameters()}
    student.task = make_task(protocol, teacher, target_sparsity=None, extractor_gradient=0.1)
    options = {"max_steps": 3, "limit_val_batches": 1, "enable_checkpointing": False}
    lightning.Trainer(**QUIET, **options).fit(student)
    assert {name: p.requires_grad for name, p in student.named_parameters()} == flags
    assert student.wavlm.layer_drop == 0.1
    assert not any(module._forward_hooks for module in student.modules())

    save_checkpoint(student, tmp_path / "distilled.ckpt")
    fresh = load_checkpoint(tmp_path / "distilled.ckpt")
    found, expected = (changed_by_fine_tuning(protocol, model) for model in (student, fresh))
    assert found == expected
    assert {name.split(".")[0] for name in found} >= {"wavlm", "conformer", "norm", "classifier"}


def test_multipliers_go_with_their_task(protocol, teacher):
    _, student, _ = fit(protocol, teacher, 2)
    assert {"loss_func.lambda1", "loss_func.lambda2"} <= student.state_dict().keys()
    student.task = make_task(protocol, teacher)
    assert not hasattr(student, "loss_func")


def test_warm_up_does_not_depend_on_the_number_of_steps_of_past_epochs(protocol, teacher):
    """Two epochs of five are two fifths of it, with however many devices they were trained"""
    task = make_task(protocol, teacher, warm_up_epochs=5)
    for num_batches, accumulate in ((100, 1), (50, 1), (101, 4), (7, 3)):
        progress = []
        for epoch in range(6):
            for batch in range(num_batches):
                trainer = SimpleNamespace(
                    current_epoch=epoch,
                    # of another number of devices
                    global_step=10_000,
                    num_training_batches=num_batches,
                    accumulate_grad_batches=accumulate,
                )
                task.model = SimpleNamespace(trainer=trainer)
                progress.append(task._warm_up_progress(batch))
        assert progress[0] == 0.0
        assert progress[2 * num_batches] == pytest.approx(0.4)
        assert progress[5 * num_batches] == pytest.approx(1.0)
        assert progress == sorted(progress)
        assert len(set(progress)) == 6 * math.ceil(num_batches / accumulate)


def test_classes_are_those_of_the_teacher(protocol):
    """Whatever the data are like: the classifier that was trained for them stays"""
    teacher = tiny_model(duration=DURATION)
    teacher.specifications = powerset_specifications(DURATION, 5, 2)
    teacher.setup()
    student = gate(teacher)
    classifier = student.classifier.weight.clone()
    options = {"duration": DURATION, "batch_size": 4, "num_workers": 0, "target_sparsity": 0.5}
    student.task = DistillationPruning(protocol, teacher=teacher, **options)
    trainer_options = {"max_steps": 1, "limit_val_batches": 1, "enable_checkpointing": False}
    lightning.Trainer(**QUIET, **trainer_options).fit(student)
    assert student.specifications.num_powerset_classes == 16
    assert torch.equal(prune(student).classifier.weight, classifier)

    for name, found, value in (("chunk", 4, 5), ("frame", 3, 2)):
        message = rf"`max_speakers_per_{name}` must be as for `teacher` \({value}\), found {found}"
        with pytest.raises(ValueError, match=message):
            DistillationPruning(
                protocol, teacher=teacher, **options | {f"max_speakers_per_{name}": found}
            )


def test_encoders_are_compared_with_what_they_were_before_pruning(protocol, teacher):
    """Sparsity of a student that was pruned already counts from its teacher"""
    gated = make_student(teacher)
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.normal_(0, 3)
    again = gate(prune(gated))
    dense = cost(load_checkpoint(teacher).wavlm)
    assert isinstance(again.wavlm, WavLM)
    assert expected_sparsity(again.wavlm, dense) > expected_sparsity(again.wavlm, cost(again.wavlm))
