"""Steps that are left out change nothing"""

import copy
import re

import lightning
import numpy as np
import pytest
import torch
from conversations import generate_conversations
from helpers import KINDS, QUIET, tiny_model, tiny_trainee
from pyannote.database import FileFinder, registry
from scipy.io import wavfile

from pyannote_prune.training.non_finite import SkipNonFinite, running_statistics

OPTIONS = {"duration": 2.0, "max_speakers_per_chunk": 3, "batch_size": 4, "num_workers": 0}
BAD = (2, 3, 7)


class Spoil(lightning.Callback):
    """Make some steps bad, and remember what the model was before and after each step"""

    def __init__(self, how: str, steps=BAD):
        self.how, self.steps, self.states = how, steps, []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.states.append(state(trainer, pl_module))
        if batch_idx in self.steps and self.how == "waveforms":
            batch["X"][0, 0, 100] = float("nan")

    def on_after_backward(self, trainer, pl_module):
        if trainer.fit_loop.epoch_loop.batch_idx in self.steps and self.how == "gradients":
            next(p for p in pl_module.parameters() if p.grad is not None).grad[0] = float("inf")


def state(trainer, model):
    optimizer = trainer.optimizers[0].state_dict()["state"]
    return copy.deepcopy((model.state_dict(), optimizer))


def same(one, other) -> bool:
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    return True


def differ(one, other) -> bool:
    return any(not torch.equal(value, other[0][key]) for key, value in one[0].items())


def train(protocol, spoil: Spoil, maximum: int, num_steps: int = 10, pruning: bool | str = False):
    lightning.seed_everything(0, verbose=False)
    model = tiny_trainee(protocol, pruning, tiny_model(), **OPTIONS)
    skip = SkipNonFinite(maximum)
    trainer = lightning.Trainer(
        max_steps=num_steps,
        limit_val_batches=0,
        callbacks=[spoil, skip],
        enable_checkpointing=False,
        **QUIET,
    )
    trainer.fit(model.train())
    spoil.states.append(state(trainer, model))
    return skip


@pytest.mark.parametrize("pruning", KINDS, ids=KINDS.get)
@pytest.mark.parametrize("how", ["waveforms", "gradients"])
def test_bad_steps_change_nothing_and_others_do(protocol, how, pruning, caplog):
    spoil = Spoil(how)
    skip = train(protocol, spoil, maximum=3, pruning=pruning)
    assert skip.num_skipped == len(BAD)
    for step, (before, after) in enumerate(zip(spoil.states, spoil.states[1:], strict=False)):
        assert same(before, after) if step in BAD else differ(before, after), step
    assert all(value.isfinite().all() for value in spoil.states[-1][0].values())
    warnings = [record.getMessage() for record in caplog.records if "left out" in record.message]
    assert len(warnings) == len(BAD)
    assert re.search(r"\.(wav|flac): left out", warnings[0])
    assert "(1 of at most 3 such steps)" in warnings[0]


def test_one_too_many_stops_training_before_it_touches_weights(protocol):
    spoil = Spoil("waveforms")
    with pytest.raises(ValueError, match=r"loss of nan at step 7 .*\.(wav|flac), after 2 other"):
        train(protocol, spoil, maximum=2)
    assert all(value.isfinite().all() for value in spoil.states[-1][0].values())


def test_count_survives_resuming():
    skip = SkipNonFinite(3)
    skip.num_skipped = 2
    resumed = SkipNonFinite(3)
    resumed.load_state_dict(skip.state_dict())
    assert resumed.num_skipped == 2


def test_negative_maximum_is_refused():
    with pytest.raises(ValueError, match="`maximum` must not be negative, found -1"):
        SkipNonFinite(-1)


def test_errors_that_have_another_cause_are_not_hidden(protocol, monkeypatch):
    from pyannote.audio import tasks

    def training_step(self, batch, batch_idx):
        raise ValueError("something else")

    monkeypatch.setattr(tasks.SpeakerDiarization, "training_step", training_step)
    with pytest.raises(ValueError, match="something else"):
        train(protocol, Spoil("none"), maximum=3)


def test_recordings_with_damaged_samples_do_not_end_training(tmp_path):
    """A WAV file of floats may hold NaN"""
    database = generate_conversations(tmp_path)
    path = sorted(tmp_path.glob("train*.wav"))[0]
    sample_rate, samples = wavfile.read(path)
    samples = samples.astype(np.float32) / np.abs(samples).max()
    samples[:: sample_rate // 2] = np.nan
    wavfile.write(path, sample_rate, samples)
    registry.load_database(database)
    damaged = registry.get_protocol(
        "Generated.SpeakerDiarization.Mini", preprocessors={"audio": FileFinder()}
    )
    spoil = Spoil("none")
    skip = train(damaged, spoil, maximum=20, num_steps=20)
    assert 0 < skip.num_skipped <= 20
    assert all(value.isfinite().all() for value in spoil.states[-1][0].values())


def test_loss_of_outputs_that_are_not_finite_reaches_all_parameters(protocol):
    """Its gradient is not finite either: nobody takes such a step for a good one"""
    options = {"duration": 2.0, "batch_size": 4, "num_workers": 0, "max_speakers_per_chunk": 3}
    model = tiny_trainee(protocol, False, tiny_model(), **options)
    model.task.prepare_data()
    model.setup()
    batch = {"X": torch.full((2, 1, 32000), float("nan")), "y": torch.zeros(2, 99, 3)}
    loss = model.task.training_step(batch, 0)["loss"]
    assert loss.isnan()
    loss.backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isnan().all() for p in trained)


def test_statistics_are_those_of_batch_normalizations():
    model = tiny_model().train()
    found = {id(buffer) for buffer in running_statistics(model)}
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(torch.randn(2, 1, 8000))
    changed = {
        id(buffer)
        for name, buffer in model.named_buffers()
        if not torch.equal(buffer, before[name])
    }
    assert changed
    assert changed <= found
