"""Everything once, on the conversation that pyannote.audio ships"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning
from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.audio.tasks import SpeakerDiarization
from pyannote.database.protocol import SpeakerDiarizationProtocol
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from .checkpoint import save_checkpoint
from .export import check_new, export_pipeline
from .segmentation import WavLMSegmentation
from .settings import DiarizationSettings
from .wavlm.config import WavLMConfig
from .wavlm.presets import dense

# who speaks is given, for want of an embedding without network: segmentation alone is scored
ORACLE = DiarizationSettings(clustering="OracleClustering", parameters={})


@dataclass(frozen=True)
class Score:
    """What a pipeline makes of the conversation

    Parameters
    ----------
    diarization_error_rate : float
        Without collar, overlapping speech included, as a fraction.
    real_time_factor : float
        Processing time over duration.
    """

    diarization_error_rate: float
    real_time_factor: float


class SampleProtocol(SpeakerDiarizationProtocol):
    """One conversation of 30 seconds, to train on and to score"""

    name = "Sample.SpeakerDiarization.Quickstart"

    def train_iter(self) -> Iterator[dict]:
        yield {
            "uri": SAMPLE_FILE["uri"],
            "database": "Sample",
            "scope": "file",
            "audio": SAMPLE_FILE["audio"],
            "annotation": SAMPLE_FILE["annotation"],
            "annotated": SAMPLE_FILE["annotated"],
        }

    def development_iter(self) -> Iterator[dict]:
        yield from self.train_iter()


def small_wavlm() -> WavLMConfig:
    """WavLM of half a million parameters, small enough to be trained in a minute"""
    return dense(
        num_layers=4,
        neurons=384,
        channels=32,
        embed_dim=96,
        num_heads=4,
        layer_drop=0.0,
    )


def quickstart(output: Path, max_steps: int = 150) -> tuple[WavLMSegmentation, Score, Score]:
    """Train a small model, put it in a pipeline, and score it

    Parameters
    ----------
    output : Path
        Folder to write. Its `pipeline` must not exist, or be empty.
    max_steps : int, optional
        Number of training steps.

    Returns
    -------
    model : WavLMSegmentation
        Trained model. Its checkpoint is `output / "model.ckpt"`.
    before, after : Score
        Of the same pipeline, with the untrained and the trained model.

    Raises
    ------
    ValueError
        If `output / "pipeline"` is not empty.
    """
    check_new(output / "pipeline")
    lightning.seed_everything(3407, verbose=False)
    task = SpeakerDiarization(
        SampleProtocol(),
        duration=5.0,
        max_speakers_per_chunk=3,
        max_speakers_per_frame=2,
        batch_size=8,
        num_workers=0,
    )
    model = WavLMSegmentation(
        wavlm=small_wavlm(),
        conformer={"input_dim": 64, "ffn_dim": 128, "num_layers": 1},
        wavlm_learning_rate=1e-3,
        task=task,
    )
    task.prepare_data()
    model.setup()
    with tempfile.TemporaryDirectory() as folder:
        before = score(export_pipeline(model, Path(folder) / "pipeline", settings=ORACLE))

    # one file is one batch: an epoch is a step
    trainer = lightning.Trainer(
        max_epochs=max_steps,
        accelerator="auto",
        callbacks=[StepProgress("Fine-tuning")],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(model)
    save_checkpoint(model, output / "model.ckpt")
    after = score(export_pipeline(model, output / "pipeline", settings=ORACLE))
    return model, before, after


def score(folder: Path) -> Score:
    """Load a pipeline folder as anyone would, diarize the conversation, and score the result"""
    pipeline = Pipeline.from_pretrained(folder)
    pipeline(dict(SAMPLE_FILE))  # the first run is slower than the next ones
    start = time.perf_counter()
    output = pipeline(dict(SAMPLE_FILE))
    elapsed = time.perf_counter() - start
    reference, annotated = SAMPLE_FILE["annotation"], SAMPLE_FILE["annotated"]
    error_rate = DiarizationErrorRate()(reference, output.speaker_diarization, uem=annotated)
    return Score(error_rate, elapsed / annotated.duration())


class StepProgress(lightning.Callback):
    """Progress bar over steps, with the training loss"""

    def __init__(self, description: str):
        self.description = description
        self.progress = Progress(
            *Progress.get_default_columns(), TimeElapsedColumn(), TextColumn("{task.fields[loss]}")
        )

    def on_train_start(self, trainer, model):
        self.progress.start()
        total = trainer.max_epochs * trainer.num_training_batches
        self.bar = self.progress.add_task(self.description, total=total, loss="")

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.progress.update(self.bar, advance=1, loss=f"loss {outputs['loss']:.3f}")

    def on_train_end(self, trainer, model):
        self.progress.stop()

    def on_exception(self, trainer, model, exception):
        self.progress.stop()
