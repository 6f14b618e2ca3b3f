"""Pretrain small models to recognize voices

The paper prunes models that were pretrained before they were fine-tuned. WavLM was pretrained on
94,000 hours of speech, which small models of this experiment replace by recognizing voices.
"""

from __future__ import annotations

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from pyannote.audio import tasks
from pyannote.database import FileFinder, registry

from ...files.pickles import last_checkpoint
from ...segmentation.checkpoint import save_checkpoint
from ...segmentation.model import WavLMSegmentation
from ...segmentation.specifications import powerset_specifications
from ...training.checkpoint_io import WholeCheckpointIO
from ...training.clipping import PercentileGradientClipping
from ...training.progress import StepProgress
from ...training.pyannote_repairs import AudioInMemory
from ...training.resume import ResumableSamples
from ...training.workers import Workers
from ...wavlm.config import WavLMConfig
from .arms import MAX_SPEAKERS, Scale


class VoiceRecognition(AudioInMemory, ResumableSamples, Workers, tasks.MultiLabelSegmentation):
    """Task: recognize active voices among all voices of a protocol, frame by frame"""


def pretrain(
    config: WavLMConfig, scale: Scale, database: Path, protocol: str, seed: int, folder: Path
) -> Path:
    """Train WavLM to recognize the voices of a protocol, or resume its training

    Parameters
    ----------
    config : WavLMConfig
        Structure of the encoder, whose initial weights are random.
    scale : Scale
    database : Path
        `database.yml`.
    protocol : str
        Protocol whose labels name voices, in all conversations.
    seed : int
    folder : Path
        Folder of checkpoints.

    Returns
    -------
    checkpoint : Path
        Diarization model with this WavLM, and a head with random weights.
    """
    path = folder / "model.ckpt"
    if path.is_file():
        return path
    registry.load_database(database)
    voices: list[str] = []
    conversations = registry.get_protocol(
        protocol, preprocessors={"audio": FileFinder(), "classes": lambda file: voices}
    )
    voices += sorted({v for file in conversations.train() for v in file["annotation"].labels()})

    lightning.seed_everything(seed, verbose=False)
    model = _model(config, scale)
    model.task = VoiceRecognition(
        conversations,
        classes=voices,
        duration=scale.duration,
        batch_size=scale.batch_size,
        num_workers=0,
        in_memory=True,
    )
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=scale.pretrain,
        limit_train_batches=scale.epoch,
        limit_val_batches=0,
        callbacks=[
            # without a value to monitor, each checkpoint replaces the previous one
            ModelCheckpoint(folder, "last", enable_version_counter=False),
            PercentileGradientClipping(),
            StepProgress("Pretraining"),
        ],
        plugins=WholeCheckpointIO(),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, ckpt_path=last_checkpoint(folder / "last.ckpt"))

    start = _model(config, scale)
    start.specifications = powerset_specifications(scale.duration, MAX_SPEAKERS, 2)
    start.setup()
    start.wavlm.load_state_dict(model.wavlm.state_dict())
    save_checkpoint(start, path)
    return path


def _model(config: WavLMConfig, scale: Scale) -> WavLMSegmentation:
    return WavLMSegmentation(
        wavlm=config,
        conformer=scale.conformer,
        wavlm_learning_rate=scale.learning_rate,
        learning_rate=scale.learning_rate,
    )
