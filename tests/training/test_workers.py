"""Workers that are spawned read what forked ones do"""

import pickle
from dataclasses import replace
from multiprocessing import context

import lightning
import pytest
import torch
from helpers import QUIET, tiny_model, tiny_trainee
from pyannote.audio.utils.random import create_rng_for_worker
from pyannote.database import FileFinder, registry

from pyannote_prune.benchmark.accuracy.pretraining import VoiceRecognition
from pyannote_prune.training.workers import ModelForWorkers

pytestmark = pytest.mark.filterwarnings("ignore")
OPTIONS = {"duration": 2.0, "batch_size": 4}


@pytest.fixture
def spawning():
    """Pickle as `multiprocessing` does for a process that it spawns"""
    context.set_spawning_popen(object())
    yield
    context.set_spawning_popen(None)


def start(model):
    """Model in the middle of a training"""
    options = {"max_steps": 3, "limit_val_batches": 1, "enable_checkpointing": False, **QUIET}
    trainer = lightning.Trainer(**options, num_sanity_val_steps=0)
    trainer.fit(model)
    assert model.trainer.fit_loop.epoch_loop.batch_progress.current.ready == 3
    return model


def trainees(protocol) -> dict:
    voices = tiny_model()
    names = sorted({v for file in protocol.train() for v in file["annotation"].labels()})
    preprocessors = {"audio": FileFinder(), "classes": lambda file: names}
    named = registry.get_protocol(protocol.name, preprocessors=preprocessors)
    voices.task = VoiceRecognition(named, classes=names, num_workers=0, in_memory=True, **OPTIONS)
    options = {"max_speakers_per_chunk": 3, "num_workers": 0, **OPTIONS}
    return {
        "diarization": tiny_trainee(protocol, False, tiny_model(), **options),
        "pruning": tiny_trainee(protocol, True, tiny_model(), **options),
        "teacher": tiny_trainee(protocol, "teacher", tiny_model(), **options),
        "voices": voices,
    }


@pytest.mark.parametrize("kind", ["diarization", "pruning", "teacher", "voices"])
def test_samples_of_spawned_workers_are_those_of_the_training(protocol, kind, spawning):
    model = start(trainees(protocol)[kind])
    loader, val_loader = model.task.train_dataloader(), model.task.val_dataloader()
    for dataset, is_training in ((loader.dataset, True), (val_loader.dataset, False)):
        content = pickle.dumps((dataset, loader.collate_fn))
        # neither weights, nor teacher, nor protocol
        assert len(content) < 100_000
        copied, collate = pickle.loads(content)
        assert isinstance(copied.task.model, ModelForWorkers)
        found, here = (first_samples(it, is_training) for it in (copied, dataset))
        for one, other in zip(found, here, strict=True):
            assert torch.equal(one["X"], other["X"])
            assert (one["y"].data == other["y"].data).all()
        assert torch.equal(collate(found)["y"], loader.collate_fn(here)["y"])


def first_samples(dataset, is_training: bool, number: int = 4) -> list:
    if not is_training:
        return [dataset[index] for index in range(number)]
    samples = iter(dataset)
    return [next(samples) for _ in range(number)]


def test_spawned_workers_know_their_place(protocol, spawning):
    model = start(trainees(protocol)["diarization"])
    found = pickle.loads(pickle.dumps(model.task)).model
    assert found.num_batches == 3
    assert create_rng_for_worker(found).random() == create_rng_for_worker(model).random()
    elsewhere = replace(found, current_epoch=found.current_epoch + 1)
    assert create_rng_for_worker(elsewhere).random() != create_rng_for_worker(model).random()


def test_tasks_are_copied_as_they_are(protocol):
    model = start(trainees(protocol)["diarization"])
    assert model.task.__getstate__() == model.task.__dict__


@pytest.mark.slow
def test_training_with_spawned_workers_is_that_with_forked_ones(protocol):
    def train(start_method, num_workers):
        lightning.seed_everything(0, verbose=False)
        options = {"max_speakers_per_chunk": 3, **OPTIONS}
        model = tiny_trainee(protocol, True, tiny_model(), num_workers=num_workers, **options)
        model.task.start_method = start_method
        options = {"max_epochs": 2, "limit_train_batches": 3, "limit_val_batches": 2, **QUIET}
        trainer = lightning.Trainer(**options, enable_checkpointing=False, num_sanity_val_steps=0)
        trainer.fit(model)
        return model.state_dict(), trainer.callback_metrics

    (forked, expected), (spawned, found) = train("fork", 2), train("spawn", 2)
    assert found == expected
    assert all(torch.equal(spawned[key], value) for key, value in forked.items())
    # workers do draw other samples than a single process
    single, _ = train(None, 0)
    assert not all(torch.equal(single[key], value) for key, value in forked.items())
