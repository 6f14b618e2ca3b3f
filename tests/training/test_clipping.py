"""Gradient clipping"""

import math

import lightning
import numpy as np
import pytest
import torch
from regression import SMALL_TRAINING, Regression, train
from torch import nn

from pyannote_prune.files.pickles import read_safely
from pyannote_prune.training.clipping import PercentileGradientClipping

pytestmark = SMALL_TRAINING

# of single precision, when it accumulates a few dozen squares
ROUNDING = 1e-6


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
