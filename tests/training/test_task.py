"""Training with the stock tasks of pyannote.audio and an unchanged Lightning Trainer"""

import logging
from unittest.mock import MagicMock

import lightning
import matplotlib.pyplot
import pytest
import torch
from helpers import CONFORMER, QUIET, tiny_config, tiny_model, tiny_trainee
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from pyannote.audio import Model
from pyannote.audio.tasks import (
    MultiLabelSegmentation,
    SpeakerDiarization,
    VoiceActivityDetection,
)

from pyannote_prune import WavLMSegmentation
from pyannote_prune.segmentation.checkpoint import load_checkpoint

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*Your `IterableDataset` has `__len__`"),
    pytest.mark.filterwarnings("ignore:.*you have no logger configured"),
    pytest.mark.filterwarnings("ignore:.*but have no logger configured"),
    pytest.mark.filterwarnings("ignore:.*The number of training batches"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
    pytest.mark.filterwarnings("ignore:Existing precomputed key"),
]

NO_CHECKPOINT = {"enable_checkpointing": False}

TASKS = {
    "powerset": (SpeakerDiarization, {"max_speakers_per_chunk": 3, "max_speakers_per_frame": 2}),
    "multilabel": (SpeakerDiarization, {"max_speakers_per_chunk": 3}),
    "voice activity": (VoiceActivityDetection, {}),
    "labels": (MultiLabelSegmentation, {}),
}


def make_model(task, **options) -> WavLMSegmentation:
    return WavLMSegmentation(wavlm=tiny_config(), conformer=CONFORMER, task=task, **options)


@pytest.mark.parametrize("name", TASKS)
def test_one_batch(protocol, name, monkeypatch):
    Task, options = TASKS[name]
    # labels of each file, which `MultiLabelSegmentation` asks for
    classes = {"classes": lambda file: file["annotation"].labels()}
    monkeypatch.setattr(protocol, "preprocessors", protocol.preprocessors | classes)
    task = Task(protocol, duration=2.0, batch_size=4, num_workers=0, **options)
    model = make_model(task)
    trainer = lightning.Trainer(fast_dev_run=True, **QUIET)
    trainer.fit(model)
    assert torch.isfinite(trainer.callback_metrics["loss/train"])
    assert model.specifications == task.specifications


def test_fit_lowers_the_validation_loss_and_resumes(protocol, tmp_path):
    def trainer(epochs):
        checkpoints = ModelCheckpoint(dirpath=tmp_path, save_last=True)
        return lightning.Trainer(max_epochs=epochs, callbacks=[checkpoints, Losses()], **QUIET)

    def model():
        lightning.seed_everything(0, verbose=False)
        task = SpeakerDiarization(
            protocol,
            duration=3.0,
            max_speakers_per_chunk=3,
            max_speakers_per_frame=2,
            batch_size=8,
            num_workers=0,
        )
        return make_model(task, wavlm_learning_rate=1e-3, learning_rate=2e-3)

    first = trainer(2)
    first.fit(model())
    before, *after = first.callbacks[0].losses
    assert min(after) < 0.9 * before

    second = trainer(3)
    second.fit(model(), ckpt_path=tmp_path / "last.ckpt")
    assert second.current_epoch == 3
    assert second.global_step == 3 * first.global_step // 2
    # the sanity check comes first: it starts from where the first run ended
    resumed, *_ = second.callbacks[0].losses
    assert resumed < 0.95 * before

    # Lightning's own checkpoints are pyannote.audio's
    assert isinstance(Model.from_pretrained(tmp_path / "last.ckpt"), WavLMSegmentation)


class Losses(lightning.Callback):
    """Validation loss before training, then after each epoch"""

    def __init__(self):
        self.losses = []

    def on_validation_epoch_end(self, trainer, model):
        self.losses.append(float(trainer.callback_metrics["loss/val"]))


def test_pretrained_model_is_fine_tuned_on_another_task(protocol, checkpoint):
    model = Model.from_pretrained(checkpoint)
    model.task = SpeakerDiarization(
        protocol,
        duration=2.0,
        max_speakers_per_chunk=3,
        max_speakers_per_frame=2,
        batch_size=4,
        num_workers=0,
    )
    classifier = model.classifier.weight.detach().clone()
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.0)
    lightning.Trainer(fast_dev_run=True, **QUIET).fit(model)
    assert torch.equal(model.classifier.weight, classifier)  # same classes, same classifier

    model.task = VoiceActivityDetection(protocol, duration=2.0, batch_size=4, num_workers=0)
    trainer = lightning.Trainer(fast_dev_run=True, **QUIET)
    with pytest.warns(UserWarning, match="trained for a different task"):
        trainer.fit(model)
    assert model.classifier.out_features == 1


def test_reloaded_training_checkpoint_computes_the_same(protocol, tmp_path):
    task = SpeakerDiarization(
        protocol, duration=2.0, max_speakers_per_frame=2, batch_size=4, num_workers=0
    )
    model = make_model(task)
    trainer = lightning.Trainer(max_steps=2, limit_val_batches=1, **NO_CHECKPOINT, **QUIET)
    trainer.fit(model)
    trainer.save_checkpoint(tmp_path / "trained.ckpt")
    waveforms = torch.randn(1, 1, 8000)
    expected = model.eval()(waveforms)
    for load in (Model.from_pretrained, load_checkpoint):
        assert torch.equal(load(tmp_path / "trained.ckpt").eval()(waveforms), expected)


class KeptFigures(DummyLogger, TensorBoardLogger):
    """Logger that keeps figures, as that of TensorBoard, but whose package is not needed"""

    experiment = log_dir = None
    save = finalize = log_graph = MagicMock()

    def __init__(self):
        self.experiment = MagicMock()


@pytest.mark.parametrize("pruning", [False, True], ids=["diarization", "pruning"])
def test_samples_are_drawn_for_loggers_that_keep_figures(protocol, pruning, monkeypatch):
    drawn, draw = [], matplotlib.pyplot.subplots
    monkeypatch.setattr(
        matplotlib.pyplot, "subplots", lambda *args, **kwargs: drawn.append(1) or draw(**kwargs)
    )
    losses = []
    for logger in (False, KeptFigures()):
        lightning.seed_everything(0, verbose=False)
        options = {"max_speakers_per_chunk": 3, "max_speakers_per_frame": 2, "in_memory": True}
        options |= {"duration": 2.0, "batch_size": 4, "num_workers": 0}
        model = tiny_trainee(protocol, pruning, tiny_model(), **options)
        few = {"max_epochs": 2, "limit_train_batches": 1, "limit_val_batches": 2}
        few |= QUIET | NO_CHECKPOINT | {"logger": logger, "num_sanity_val_steps": 0}
        trainer = lightning.Trainer(**few)
        trainer.fit(model)
        losses.append(trainer.callback_metrics["loss/val"])
        assert len(drawn) == bool(logger)
    assert [call.args[2] for call in logger.experiment.add_figure.call_args_list] == [1]
    assert losses[0] == losses[1]
