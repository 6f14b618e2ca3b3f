"""Gradient clipping, choice of checkpoints, and their average"""

import logging
import math

import lightning
import numpy as np
import pytest
import torch
from helpers import QUIET
from torch import nn

from pyannote_prune.files.pickles import read_safely
from pyannote_prune.training.average import average_checkpoints
from pyannote_prune.training.best_checkpoints import BestCheckpoints, Near
from pyannote_prune.training.clipping import PercentileGradientClipping

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*The number of training batches"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
]

# of single precision, when it accumulates a few dozen squares
ROUNDING = 1e-6


@pytest.fixture(autouse=True, scope="module")
def single_thread():
    """Threads of so small networks mostly wait for each other, for long when cores are busy"""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


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


class Gradients(lightning.Callback):
    """Gradients of clipped and of other parameters, at each optimizer step"""

    def __init__(self):
        self.network, self.gates = [], []

    def on_before_optimizer_step(self, trainer, model, optimizer):
        for name in ("network", "gates"):
            grads = [p.grad.flatten() for p in getattr(model, name).parameters()]
            getattr(self, name).append(torch.cat(grads).double().numpy(force=True).copy())


class Logged(lightning.Callback):
    """What is logged about gradients, at each batch"""

    def __init__(self):
        self.norms, self.thresholds = [], []

    def on_train_batch_end(self, trainer, *_):
        self.norms.append(float(trainer.callback_metrics["gradient/norm"]))
        self.thresholds.append(float(trainer.callback_metrics["gradient/threshold"]))


def train(model, callbacks, epochs, ckpt_path=None, **options):
    options = {"limit_val_batches": 0, "enable_checkpointing": False} | QUIET | options
    trainer = lightning.Trainer(max_epochs=epochs, callbacks=callbacks, **options)
    trainer.fit(model, ckpt_path=ckpt_path)
    return trainer


@pytest.mark.parametrize(
    ("percentile", "history_size"), [(90.0, 1000), (50, 7), (12.5, 5), (100, 3), (30, 1)]
)
def test_gradients_are_clipped_to_the_percentile_of_recent_norms(percentile, history_size):
    clipping = PercentileGradientClipping(percentile, history_size)
    before, after, logged = Gradients(), Gradients(), Logged()
    train(Regression(), [before, clipping, after, logged], epochs=4)
    norms = [np.linalg.norm(gradients) for gradients in before.network]
    assert len(norms) == 24

    num_clipped = 0
    for step, (raw, clipped) in enumerate(zip(before.network, after.network, strict=True)):
        recent = norms[: step + 1][-history_size:]
        threshold = np.percentile(recent, percentile)
        assert logged.norms[step] == pytest.approx(norms[step], rel=ROUNDING)
        assert logged.thresholds[step] == pytest.approx(threshold, rel=ROUNDING)
        if np.array_equal(raw, clipped):
            assert norms[step] <= threshold * (1 + ROUNDING)
        else:
            num_clipped += 1
            expected = raw * threshold / norms[step]
            np.testing.assert_allclose(clipped, expected, rtol=2e-5, atol=ROUNDING)
    # of a single norm, or of several if nothing exceeds their maximum, the percentile is the norm
    assert (num_clipped > 0) == (percentile < 100 and history_size > 1)
    assert clipping.history == pytest.approx(norms[-history_size:], rel=ROUNDING)

    # those of the other group are large enough to have been clipped
    assert max(np.linalg.norm(gradients) for gradients in before.gates) > min(norms)
    np.testing.assert_array_equal(before.gates, after.gates)


def test_each_optimizer_step_counts_once_when_gradients_are_accumulated():
    clipping, before = PercentileGradientClipping(), Gradients()
    train(Regression(), [before, clipping], epochs=2, accumulate_grad_batches=3)
    assert len(before.network) == 4
    norms = [np.linalg.norm(gradients) for gradients in before.network]
    assert list(clipping.history) == pytest.approx(norms, rel=ROUNDING)


class LogNothing:
    """What replaces the model where only gradients matter"""

    def log(self, *args, **kwargs):
        pass


def test_small_gradients_below_the_threshold_are_left_bitwise():
    clipping = PercentileGradientClipping(100)
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter, nn.Parameter(torch.zeros(2))])
    parameter.grad = torch.tensor([1e-7, -2e-7, 3e-7])
    expected = parameter.grad.clone()
    clipping.on_before_optimizer_step(None, LogNothing(), optimizer)
    assert len(clipping.history) == 1
    assert torch.equal(parameter.grad, expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_gradients_are_left_alone_and_forgotten(bad):
    clipping = PercentileGradientClipping(1)
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter])
    for value in (1.0, 2.0, bad):
        parameter.grad = torch.tensor([0.0, value])
        expected = parameter.grad.clone()
        clipping.on_before_optimizer_step(None, LogNothing(), optimizer)
        # the second one is clipped, to about the first
        assert torch.equal(parameter.grad.nan_to_num(), expected.nan_to_num()) == (value != 2.0)
    assert list(clipping.history) == [1.0, 2.0]


def test_steps_without_clipped_gradient_do_not_count():
    clipping = PercentileGradientClipping()
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    for group in (
        {"params": [parameter], "clip": False},
        {"params": [nn.Parameter(torch.ones(1))]},
    ):
        clipping.on_before_optimizer_step(None, LogNothing(), torch.optim.SGD([group]))
    assert not clipping.history


def test_resumed_training_clips_as_uninterrupted_training(tmp_path):
    def start(seed):
        torch.manual_seed(seed)
        return Regression(), PercentileGradientClipping(40, history_size=9)

    model, clipping = start(0)
    train(model, [clipping], epochs=4)

    interrupted, other = start(0)
    train(interrupted, [other], epochs=2).save_checkpoint(tmp_path / "2.ckpt")
    checkpoint = read_safely(tmp_path / "2.ckpt")  # i.e. plain values
    assert checkpoint["callbacks"].pop("PercentileGradientClipping")["history"]
    torch.save(checkpoint, tmp_path / "forgetful.ckpt")

    def resume(name):
        resumed, clipping = start(1)
        assert not torch.equal(resumed.gates.weight, interrupted.gates.weight)
        train(resumed, [clipping], epochs=4, ckpt_path=tmp_path / name)
        return resumed, clipping

    resumed, again = resume("2.ckpt")
    assert other.history != clipping.history
    assert again.history == clipping.history
    assert again.history.maxlen == 9
    for name, tensor in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name

    # without its history, it would not be the same
    forgetful, _ = resume("forgetful.ckpt")
    assert not torch.equal(forgetful.network[0].weight, model.network[0].weight)


def test_history_is_shortened_when_resumed_with_a_smaller_size():
    clipping = PercentileGradientClipping(history_size=2)
    clipping.load_state_dict({"history": [1.0, 2.0, 3.0]})
    assert list(clipping.history) == [2.0, 3.0]


@pytest.mark.parametrize("percentile", [0, -1, 100.5, math.nan])
def test_impossible_percentile_is_refused(percentile):
    with pytest.raises(
        ValueError, match=rf"`percentile` must be in \(0, 100\], found {percentile}"
    ):
        PercentileGradientClipping(percentile)


def test_impossible_history_size_is_refused():
    with pytest.raises(ValueError, match="`history_size` must be at least 1, found 0"):
        PercentileGradientClipping(history_size=0)


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


def save_states(folder, states):
    paths = [folder / f"{i}.ckpt" for i in range(len(states))]
    for path, state in zip(paths, states, strict=True):
        torch.save({"epoch": 1, "state_dict": state}, path)
    return paths


@pytest.mark.parametrize("num_checkpoints", [1, 2, 5])
def test_average_is_that_of_numpy_and_integers_are_those_of_the_first(num_checkpoints, tmp_path):
    states = [
        {
            "weight": torch.randn(3, 4),
            "half": torch.randn(5).half(),
            "double": torch.randn((), dtype=torch.float64),
            "count": torch.tensor(10 * i + 7),
            "mask": torch.tensor([i == 0, True]),
        }
        for i in range(num_checkpoints)
    ]
    paths = save_states(tmp_path, states)
    average = average_checkpoints(paths)
    assert list(average) == list(states[0])
    for key, first in states[0].items():
        assert average[key].dtype == first.dtype
        if first.is_floating_point():
            mean = np.mean([state[key].double().numpy() for state in states], axis=0)
            expected = torch.as_tensor(mean).to(first.dtype)
            torch.testing.assert_close(average[key], expected, rtol=1e-15, atol=1e-15)
            assert torch.equal(average[key], first) == (num_checkpoints == 1)
        else:
            assert torch.equal(average[key], first)
    if num_checkpoints > 1:
        assert average_checkpoints(paths[::-1])["count"] == 10 * num_checkpoints - 3


def test_average_of_best_checkpoints_is_loaded_by_the_model(tmp_path):
    checkpoints = validate(tmp_path, [0.5, 0.2, 0.9], num_best=2)
    model = Regression()
    model.load_state_dict(average_checkpoints(checkpoints.best_paths))
    best, second = (read_safely(path)["state_dict"] for path in checkpoints.best_paths)
    assert not torch.equal(best["gates.weight"], second["gates.weight"])
    expected = (best["gates.weight"] + second["gates.weight"]) / 2
    torch.testing.assert_close(model.gates.weight.data, expected)
    # batches of the best epoch, which is the second one
    assert model.network[1].num_batches_tracked == 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": torch.zeros(2), "b": torch.zeros(3)}, r"'b' is torch.Size\(\[3\]\) in .*1.ckpt"),
        ({"a": torch.zeros(2)}, "'b' is absent in .*1.ckpt"),
        (
            {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(4)},
            r"'c' is torch.Size\(\[4\]\) in .*1.ckpt', absent in .*0.ckpt",
        ),
    ],
)
def test_checkpoints_of_another_network_are_not_averaged(other, message, tmp_path):
    first = {"a": torch.zeros(2), "b": torch.zeros(2)}
    assert average_checkpoints(save_states(tmp_path, [first, first]))
    with pytest.raises(ValueError, match=message):
        average_checkpoints(save_states(tmp_path, [first, other]))


def test_average_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`paths` must name one checkpoint at least, found none"):
        average_checkpoints([])
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights.pt' must be a Lightning checkpoint"):
        average_checkpoints([tmp_path / "weights.pt"])
