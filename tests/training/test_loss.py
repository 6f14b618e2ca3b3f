"""Loss of the task, from scores"""

import torch
from helpers import tiny_model, tiny_trainee
from pyannote.audio.utils.powerset import Powerset

from pyannote_prune.training.loss import diarization_loss
from pyannote_prune.training.task import ResumableDiarization


def test_loss_is_that_of_the_task(protocol):
    """That of pyannote.audio, with its permutation of speakers and weights of frames"""
    options = {"duration": 2.0, "batch_size": 4, "num_workers": 0, "max_speakers_per_chunk": 3}
    model = tiny_trainee(protocol, False, tiny_model(), weight="importance", **options)
    model.task.prepare_data()
    model.setup()
    model.task.setup_loss_func()
    model.log = lambda *args, **options: None
    for step in range(20):
        batch = {"X": torch.randn(3, 1, 32_000), "y": (torch.rand(3, 99, 3) > 0.6).byte()}
        if step % 2:
            batch["importance"] = torch.rand(3, 99, 1)
        with torch.no_grad():
            model.classifier.weight.normal_(0, 3)
            expected = super(ResumableDiarization, model.task).training_step(batch, 0)["loss"]
            inputs = (model(batch["X"]), batch["y"], model.powerset)
            found = diarization_loss(*inputs, batch.get("importance"))
            assert torch.equal(found, expected)


def test_scores_that_are_not_finite_have_a_loss_that_is_not():
    """Where matching speakers would end the training"""
    scores = torch.full((1, 5, 7), torch.nan, requires_grad=True)
    loss = diarization_loss(scores, torch.zeros(1, 5, 3), Powerset(3, 2))
    assert loss.isnan()
    loss.backward()
    assert scores.grad.isnan().all()
