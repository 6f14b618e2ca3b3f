"""Learning rates that decay"""

import math

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from regression import SMALL_TRAINING, Regression, train
from torch.optim.lr_scheduler import LinearLR

from pyannote_prune.training.decay import LinearDecay

pytestmark = [
    *SMALL_TRAINING,
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before"),
]

# batches of an epoch of `Regression`, and its learning rate
NUM_BATCHES, RATE = 6, 0.1


class Rates(lightning.Callback):
    """Learning rates of weights and of gates, in each step"""

    def __init__(self):
        self.weights, self.gates = [], []

    def on_before_optimizer_step(self, trainer, model, optimizer):
        weights, gates = (group["lr"] for group in optimizer.param_groups)
        self.weights.append(weights)
        self.gates.append(gates)


def rates_of_torch(decay_to: float, num_steps: int) -> list[float]:
    """Learning rates of PyTorch's scheduler, in each step"""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    # it refuses to start at 0, not to end there
    scheduler = LinearLR(optimizer, 1.0, decay_to, total_iters=num_steps - 1)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize(("decay_to", "epochs"), [(0.0, 2), (0.05, 3), (0.5, 1), (1.0, 2)])
def test_rates_of_weights_are_those_of_torch(decay_to, epochs, accumulate):
    rates, options = Rates(), {"accumulate_grad_batches": accumulate}
    train(Regression(), [LinearDecay(decay_to), rates], epochs, **options)
    num_steps = epochs * math.ceil(NUM_BATCHES / accumulate)
    assert rates.weights == pytest.approx(rates_of_torch(decay_to, num_steps), abs=1e-9)
    assert rates.gates == [RATE] * num_steps


def test_a_single_step_has_the_first_rate():
    rates = Rates()
    train(Regression(), [LinearDecay(0.1), rates], 1, limit_train_batches=1)
    assert rates.weights == [RATE]


@pytest.mark.parametrize("step", [2, 6, 9])
def test_decay_resumes_where_it_was(step, tmp_path):
    """In the middle of an epoch as well"""
    whole, rest = Rates(), Rates()
    save = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    options = {"enable_checkpointing": True}
    model = Regression()
    train(model, [LinearDecay(0.1), whole, save], 2, **options)
    resumed = Regression()
    train(resumed, [LinearDecay(0.1), rest], 2, tmp_path / f"step={step}.ckpt")
    assert rest.weights == whole.weights[step:]
    # the data of this network starts anew, when training resumes in the middle of an epoch
    if step == NUM_BATCHES:
        for key, value in model.state_dict().items():
            assert torch.equal(resumed.state_dict()[key], value), key


@pytest.mark.parametrize("decay_to", [-0.1, 1.5, float("nan")])
def test_impossible_shares_are_refused(decay_to):
    with pytest.raises(ValueError, match=r"`decay_to` must be in \[0, 1\], found"):
        LinearDecay(decay_to)


def test_training_without_end_cannot_decay():
    with pytest.raises(ValueError, match="`max_epochs` must be given with `decay_to`, found -1"):
        train(Regression(), [LinearDecay(0.1)], -1, max_steps=3)
