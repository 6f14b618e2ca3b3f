"""Choice of checkpoints"""

import math

import lightning
import numpy as np
import pytest
import torch
from regression import SMALL_TRAINING, Regression, train, validate

from pyannote_prune.files.pickles import read_safely
from pyannote_prune.training.best_checkpoints import BestCheckpoints, Near

pytestmark = SMALL_TRAINING


def choose(script, mode="min", num_best=5, first_epoch=0, after_peak=False, patience=None):
    """Go through epochs one by one: chosen epochs (best first), and number of trained epochs

    Plain, and without the shortcuts of the class: it keeps the current choice, peak and patience.
    """
    better = {"min": np.less, "max": np.greater}[mode]
    chosen, record, waited, peak = [], None, 0, -math.inf
    for epoch, value in enumerate(script):
        if after_peak and math.isfinite(value) and value > peak:
            peak, chosen, record, waited = value, [], None, 0
            continue
        if epoch < first_epoch:
            continue
        waited += 1
        if math.isfinite(value):
            if record is None or better(value, record):
                record, waited = value, 0
            position = sum(not better(value, script[other]) for other in chosen)
            chosen = [*chosen[:position], epoch, *chosen[position:]][:num_best]
        if waited == patience:
            return chosen, epoch + 1
    return chosen, len(script)


def random_case(seed):
    """Values (with ties, and some that are not finite) and options"""
    rng = np.random.default_rng(seed)
    num_epochs = rng.integers(3, 10)
    script = rng.integers(0, 12, num_epochs) / 4
    if seed % 2:  # rise, then fall
        script += 3 * np.sin(np.linspace(0, math.pi, num_epochs))
    script[rng.random(num_epochs) < 0.1] = rng.choice([math.nan, math.inf, -math.inf])
    after_peak = bool(rng.random() < 0.6)
    return script.tolist(), {
        "mode": "min" if after_peak else str(rng.choice(["min", "max"])),
        "num_best": int(rng.integers(1, 5)),
        "first_epoch": int(rng.integers(0, 4)),
        "after_peak": after_peak,
        "patience": [None, 1, 2, 3][rng.integers(4)],
    }


def assert_only_these_files(folder, epochs):
    names = {f"epoch-{epoch:03d}.ckpt" for epoch in epochs} | {"last.ckpt"}
    assert {path.name for path in folder.iterdir()} == names


CASES = range(24)


@pytest.mark.parametrize("seed", CASES)
def test_choice_is_that_of_the_plain_rule_and_resuming_does_not_change_it(seed, tmp_path):
    script, options = random_case(seed)
    epochs, num_trained = choose(script, **options)
    for folder in (tmp_path / "whole", tmp_path / "resumed"):
        if folder.name == "resumed":
            interruption = 1 + seed % (len(script) - 1)
            first = validate(folder, script, epochs=interruption, **options)
            assert len(first.values) == min(interruption, num_trained)
        checkpoints = validate(folder, script, resume=folder.name == "resumed", **options)

        expected = [folder.resolve() / f"epoch-{epoch:03d}.ckpt" for epoch in epochs]
        assert checkpoints.best_paths == expected
        assert_only_these_files(folder, epochs)
        assert list(checkpoints.values) == list(range(num_trained))
        assert list(checkpoints.values.values()) == pytest.approx(script[:num_trained], nan_ok=True)
        for epoch, path in zip(epochs, expected, strict=True):
            assert read_safely(path)["epoch"] == epoch
        assert read_safely(folder / "last.ckpt")["epoch"] == num_trained - 1


def test_cases_are_not_trivial():
    """The same rule, but for one option, chooses otherwise: no option goes unnoticed"""
    cases = [random_case(seed) for seed in CASES]
    for key, value in {"first_epoch": 0, "after_peak": False, "num_best": 1, "mode": "min"}.items():
        changed = [choose(*c[:1], **c[1]) != choose(*c[:1], **c[1] | {key: value}) for c in cases]
        assert sum(changed) > 2, key
    stopped = [choose(script, **options)[1] < len(script) for script, options in cases]
    assert 2 < sum(stopped) < len(cases) - 2


def test_epochs_before_the_peak_are_dropped_when_it_appears(tmp_path):
    script = [0.1, 0.3, 0.2, 0.25, 0.9, 0.8, 0.5, 0.7]
    before = validate(tmp_path, script, epochs=4, after_peak=True)
    assert before.counted == [2, 3]
    assert_only_these_files(tmp_path, [2, 3])
    at_peak = validate(tmp_path, script, epochs=5, resume=True, after_peak=True)
    assert at_peak.best_paths == []
    assert_only_these_files(tmp_path, [])
    after = validate(tmp_path, script, resume=True, after_peak=True)
    assert [path.name for path in after.best_paths] == [f"epoch-00{e}.ckpt" for e in (6, 7, 5)]
    assert_only_these_files(tmp_path, [5, 6, 7])


def test_first_epoch_and_peak_both_hold_whichever_comes_last(tmp_path):
    options = {"first_epoch": 3, "after_peak": True}
    early = validate(tmp_path / "early", [9.0, 1.0, 2.0, 5.0, 4.0], **options)
    assert_only_these_files(tmp_path / "early", [3, 4])
    late = validate(tmp_path / "late", [1.0, 2.0, 3.0, 9.0, 4.0], **options)
    assert_only_these_files(tmp_path / "late", [4])
    assert (early.counted, late.counted) == ([3, 4], [4])


class Sparsity(Regression):
    """Two scripted values"""

    def validation_step(self, batch, batch_idx):
        loss, sparsity = self.script[self.current_epoch]
        self.log("loss/val", loss)
        self.log("sparsity", sparsity)


@pytest.mark.parametrize("interruption", [None, 1, 3, 4])
def test_epochs_far_from_what_is_aimed_at_do_not_count(tmp_path, interruption):
    """However good they are, and wherever training was interrupted"""
    script = [(1.0, 0.1), (2.0, 0.7), (2.5, 0.795), (2.2, 0.81), (2.1, 0.83), (2.4, 0.8)]
    for epochs in filter(None, (interruption, len(script))):
        near = Near("sparsity", 0.8, 0.02)
        checkpoints = BestCheckpoints(tmp_path, "loss/val", num_best=2, near=near)
        last = tmp_path / "last.ckpt"
        options = {"limit_train_batches": 1, "limit_val_batches": 1, "enable_checkpointing": True}
        train(
            Sparsity(script),
            [checkpoints],
            epochs=epochs,
            ckpt_path=last if last.exists() else None,
            **options,
        )
    assert checkpoints.counted == [2, 3, 5]
    assert checkpoints.ranking == [3, 5, 2]
    assert_only_these_files(tmp_path, [3, 5])


def test_without_any_epoch_near_what_is_aimed_at_there_is_none_to_choose(tmp_path):
    script = [(1.0, 0.1), (2.0, 0.7)]
    near, options = Near("sparsity", 0.8, 0.02), {"enable_checkpointing": True}
    checkpoints = BestCheckpoints(tmp_path, "loss/val", near=near, patience=1)
    trainer = train(Sparsity(script), [checkpoints], 2, limit_val_batches=1, **options)
    assert checkpoints.best_paths == []
    assert trainer.current_epoch == 2
    assert_only_these_files(tmp_path, [])


def test_checkpoints_of_release_0_1_0_are_resumed():
    """They do not say how far from the target epochs were: these do not count"""
    checkpoints = BestCheckpoints("folder", "loss/val", near=Near("sparsity", 0.8, 0.02))
    checkpoints.load_state_dict({"values": {0: 1.0, 1: 0.5}})
    assert checkpoints.counted == []
    checkpoints.near = None
    assert checkpoints.ranking == [1, 0]


def test_patience_stops_training_and_resuming_does_not_revive_it(tmp_path):
    script = [1.0, 0.5, 0.6, 0.5, 0.4, 0.3]
    checkpoints = validate(tmp_path, script, patience=2)
    assert list(checkpoints.values) == [0, 1, 2, 3]
    weights = read_safely(tmp_path / "last.ckpt")["state_dict"]["gates.weight"]

    again = validate(tmp_path, script, resume=True, patience=2)
    assert again.values == checkpoints.values
    assert again.best_paths == checkpoints.best_paths
    assert torch.equal(read_safely(tmp_path / "last.ckpt")["state_dict"]["gates.weight"], weights)

    # more patience is a reason to go on
    assert len(validate(tmp_path, script, resume=True, patience=3).values) == 6


def test_choice_survives_moving_the_folder(tmp_path):
    script = [1.0, 0.5, 0.7, 0.6]
    validate(tmp_path / "here", script, epochs=3, num_best=2)
    (tmp_path / "here").rename(tmp_path / "there")
    checkpoints = validate(tmp_path / "there", script, resume=True, num_best=2)
    assert [path.name for path in checkpoints.best_paths] == ["epoch-001.ckpt", "epoch-003.ckpt"]
    assert_only_these_files(tmp_path / "there", [1, 3])


def test_files_that_a_user_deleted_are_not_chosen(tmp_path):
    script = [0.1, 0.5, 0.7, 0.6]
    validate(tmp_path, script, epochs=3, num_best=2)
    assert_only_these_files(tmp_path, [0, 1])
    (tmp_path / "epoch-000.ckpt").unlink()
    checkpoints = validate(tmp_path, script, resume=True, num_best=2)
    assert [path.name for path in checkpoints.best_paths] == ["epoch-001.ckpt", "epoch-003.ckpt"]


def test_killed_training_finds_what_its_last_checkpoint_has_chosen(tmp_path, monkeypatch):
    script, options = [0.9, 0.5, 0.4, 0.3, 0.7], {"num_best": 2}
    save, saved = BestCheckpoints._save_checkpoint, []

    def killed(self, trainer, path):
        if len(saved) == num_saved:
            raise RuntimeError("killed")
        saved.append(path)
        save(self, trainer, path)

    for num_saved in range(2, 8):
        folder = tmp_path / str(num_saved)
        saved.clear()
        with monkeypatch.context() as context:
            context.setattr(BestCheckpoints, "_save_checkpoint", killed)
            with pytest.raises(RuntimeError, match="killed"):
                validate(folder, script, **options)
        checkpoints = BestCheckpoints(folder, "loss/val", **options)
        (state,) = read_safely(folder / "last.ckpt")["callbacks"].values()
        checkpoints.load_state_dict(state)
        assert [p.name for p in checkpoints.best_paths] == [
            f"epoch-{epoch:03d}.ckpt"
            for epoch in choose(script[: len(checkpoints.values)], **options)[0]
        ]
        validate(folder, script, resume=True, **options)
        assert_only_these_files(folder, [2, 3])


def test_several_validations_an_epoch_are_judged_by_the_last_one(tmp_path):
    checkpoints = BestCheckpoints(tmp_path, "loss/val", num_best=1)
    model = Regression()
    values = iter([-math.inf, 0.5, 0.4, 0.3, 0.6])
    model.validation_step = lambda *_: model.log("loss/val", next(values))
    options = {"val_check_interval": 3, "enable_checkpointing": True, "limit_val_batches": 1}
    train(model, [checkpoints], epochs=2, num_sanity_val_steps=1, **options)
    assert list(checkpoints.values) == [0, 1]
    assert list(checkpoints.values.values()) == pytest.approx([0.4, 0.6])
    # 0.3 took the place of epoch 0, and is no more
    assert_only_these_files(tmp_path, [int(path.stem[-3:]) for path in checkpoints.best_paths])


def test_lightning_finds_best_and_last_checkpoints(tmp_path):
    checkpoints = BestCheckpoints(tmp_path, "loss/val", num_best=2)
    model = Regression([0.5, 0.2, 0.9])
    options = {"enable_checkpointing": True, "limit_train_batches": 1, "limit_val_batches": 1}
    trainer = train(model, [checkpoints], 3, **options)
    assert trainer.checkpoint_callback is checkpoints
    assert checkpoints.best_model_path == str(checkpoints.best_paths[0])
    assert checkpoints.best_model_score == pytest.approx(0.2)
    last = model.gates.weight.clone()
    for name, same in (("best", False), ("last", True)):
        trainer.validate(model, ckpt_path=name, verbose=False)
        assert torch.equal(model.gates.weight, last) == same
    # these validations do not count
    assert list(checkpoints.values) == [0, 1, 2]
    assert_only_these_files(tmp_path, [0, 1])


def test_sanity_check_does_not_count(tmp_path):
    class Start(lightning.Callback):
        def on_train_start(self, trainer, model):
            self.values, self.files = dict(checkpoints.values), list(tmp_path.iterdir())

    checkpoints, start = BestCheckpoints(tmp_path, "loss/val", patience=1), Start()
    validated = []
    model = Regression([0.5])
    model.on_validation_epoch_end = lambda: validated.append(model.trainer.sanity_checking)
    options = {"enable_checkpointing": True, "limit_train_batches": 1, "limit_val_batches": 1}
    train(model, [checkpoints, start], 1, **options)
    assert validated == [True, False]
    assert start.values == {}
    assert start.files == []
    assert_only_these_files(tmp_path, [0])


def test_fast_development_run_saves_nothing(tmp_path):
    checkpoints = BestCheckpoints(tmp_path, "loss/val")
    options = {"fast_dev_run": True, "enable_checkpointing": True, "limit_val_batches": 1}
    train(Regression([1.0]), [checkpoints], 1, **options)
    assert checkpoints.values == {}
    assert list(tmp_path.iterdir()) == []


def test_value_that_is_not_logged_is_refused(tmp_path):
    checkpoints = BestCheckpoints(tmp_path, "loss/validation")
    options = {"enable_checkpointing": True, "limit_train_batches": 1, "limit_val_batches": 1}
    with pytest.raises(ValueError, match=r"\(loss/val is\), found 'loss/validation'"):
        train(Regression([1.0]), [checkpoints], 1, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "best"}, r"`mode` must be in \('min', 'max'\) if after_peak=False, found 'best'"),
        ({"mode": "max", "after_peak": True}, "if after_peak=True, found 'max'"),
        ({"num_best": 0}, "`num_best` must be at least 1, found 0"),
        ({"first_epoch": -1}, "`first_epoch` must be at least 0, found -1"),
        ({"patience": 0}, "`patience` must be at least 1, found 0"),
    ],
)
def test_impossible_options_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        BestCheckpoints(tmp_path, "loss/val", **options)
