"""The four stages of a recipe: where each starts, its task, and how it ends"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import CSVLogger
from pyannote.database.protocol.protocol import Protocol

from ..files.folders import write_json
from ..files.pickles import last_checkpoint
from ..pruning.prune import prune_to
from ..pruning.scope import dense_cost, in_scope
from ..pruning.sparsity import expected_sparsity
from ..pruning.task import EXPECTED_SPARSITY, DistillationPruning, monitored_value
from ..pruning.teacher import DiarizationWithTeacher
from ..segmentation.checkpoint import load_checkpoint, save_checkpoint
from ..segmentation.gating import attach_model_gates
from ..segmentation.model import WavLMSegmentation
from ..training.average import average_checkpoints
from ..training.best_checkpoints import BestCheckpoints, Near
from ..training.checkpoint_io import WholeCheckpointIO
from ..training.clipping import PercentileGradientClipping
from ..training.decay import LinearDecay
from ..training.devices import process_rank, world_size
from ..training.logs import merge_logs
from ..training.non_finite import SkipNonFinite
from ..training.progress import StepProgress
from ..training.pyannote_repairs import KeepSignals
from ..training.task import ResumableDiarization
from .augmentation import augmentation_options
from .config import Recipe
from .folder import LAST, LOG, MODEL, SCORES, STAGES, remove_pipeline, stage_folder
from .starting_models import first_model, twin

# largest difference between expected sparsity and its target that is accepted
TOLERANCE = 0.02

# action when sparsity ends too low (too high), and values to change
_TOO_LOW = (
    "closed",
    "Raise `stages.prune.max_epochs`, or `stages.prune.gate_learning_rate`.",
)
_TOO_HIGH = (
    "opened",
    "Raise `stages.prune.max_epochs`, or lower `stages.prune.multiplier_learning_rate`.",
)
logger = logging.getLogger(__name__)

# of past stages
Models = Sequence[WavLMSegmentation]


@dataclass
class Context:
    """Recipe, folder and data, which all stages share

    Parameters
    ----------
    recipe : Recipe
    output : Path
        Folder of the stages.
    protocol : Protocol
    """

    recipe: Recipe
    output: Path
    protocol: Protocol

    @cached_property
    def world_size(self) -> int:
        """Number of processes that train together"""
        return world_size(vars(self.recipe.trainer))


class StageRun(ABC):
    """Stage of a recipe, which trains a model unless it has done so

    Its folder shows its state: `model.ckpt` is written at the end, and an interrupted training is
    resumed from `checkpoints/last.ckpt`.

    Parameters
    ----------
    context : Context
    """

    name: str  # in recipes
    monitor: str  # logged value by which checkpoints are chosen

    def __init__(self, context: Context):
        self.context, self.recipe = context, context.recipe
        self.options = getattr(self.recipe.stages, self.name)
        self.folder = stage_folder(context.output, self.name)

    def __call__(self, models: Models) -> WavLMSegmentation:
        """Train, average, score and save a model, unless that was done

        Parameters
        ----------
        models : sequence of WavLMSegmentation
            Models of past stages: the first one is the teacher, the last one the previous model.

        Returns
        -------
        model : WavLMSegmentation
            As it was saved.
        """
        if not (self.folder / MODEL).is_file():
            if process_rank() == 0:
                remove_pipeline(self.context.output)
            trainer, model = self._train(models)
            model, scores = self.finish(model, models)
            self._save(trainer, model, scores | self._score(trainer, model))
        return load_checkpoint(self.folder / MODEL)

    @property
    def is_wanted(self) -> bool:
        """Whether the recipe has epochs for this stage"""
        return self.options.max_epochs > 0

    @property
    def learning_rates(self) -> dict[str, float]:
        """Learning rates, as hyper-parameters of `WavLMSegmentation`"""
        return {"learning_rate": self.options.learning_rate}

    @property
    def counted_epochs(self) -> dict[str, Any]:
        """Options of `BestCheckpoints` that leave epochs out"""
        return {}

    @abstractmethod
    def start(self, models: Models) -> WavLMSegmentation:
        """Make the model to train: it shares no weights with other models"""

    @abstractmethod
    def task(self, models: Models) -> ResumableDiarization:
        """Make the task of this stage"""

    def finish(
        self, model: WavLMSegmentation, models: Models
    ) -> tuple[WavLMSegmentation, dict[str, float]]:
        """Make the model to save, and additional scores, from the averaged model"""
        return model, {}

    def data_options(self) -> dict[str, Any]:
        """Arguments that all tasks share

        Raises
        ------
        ValueError
            If devices cannot share batches, or if there are no such devices.
        """
        world_size, batch_size = self.context.world_size, self.options.batch_size
        if batch_size % world_size:
            raise ValueError(
                f"`stages.{self.name}.batch_size` must be a multiple of the number of devices "
                f"({world_size}), which share it, found {batch_size}."
            )
        return {
            "duration": self.recipe.duration,
            "max_speakers_per_chunk": self.recipe.max_speakers_per_chunk,
            "max_speakers_per_frame": self.recipe.max_speakers_per_frame,
            "batch_size": batch_size // world_size,
            "num_workers": self.recipe.num_workers,
            "in_memory": self.recipe.in_memory,
            "folder": self.context.output,
            **augmentation_options(self.recipe.augmentation),
        }

    def diarization(self) -> ResumableDiarization:
        """Make a task that learns, or scores, diarization

        Raises
        ------
        ValueError
            If there is no development set.
        """
        task = ResumableDiarization(self.context.protocol, **self.data_options())
        if not task.has_validation:
            raise ValueError(
                f"`protocol` must have a development set, found none in {self.recipe.protocol}: "
                "checkpoints are chosen by their scores there."
            )
        return task

    def checkpoints(self) -> BestCheckpoints:
        """Make the callback that chooses checkpoints"""
        return BestCheckpoints(
            self.folder / "checkpoints",
            monitor=self.monitor,
            num_best=self.options.average,
            patience=self.options.patience,
            **self.counted_epochs,
        )

    def _train(self, models: Models) -> tuple[lightning.Trainer, WavLMSegmentation]:
        """Train a model, from its last checkpoint if there is one, and average the best ones"""
        lightning.seed_everything(self.recipe.seed, verbose=False)
        model = self.start(models)
        model.task = self.task(models)
        checkpoints = self.checkpoints()
        trainer, last = self._trainer(checkpoints), self.folder / LAST
        trainer.fit(model, ckpt_path=last_checkpoint(last))
        # training can end before any epoch counts: the last one is used then
        model.load_state_dict(average_checkpoints(checkpoints.best_paths or [last]))
        return trainer, model

    def _trainer(self, checkpoints: BestCheckpoints) -> lightning.Trainer:
        callbacks: list[lightning.Callback] = [
            checkpoints,
            SkipNonFinite(self.recipe.max_skipped_steps),
            StepProgress(STAGES[self.name]),
            KeepSignals(),
        ]
        if self.options.clip_percentile is not None:
            callbacks.append(PercentileGradientClipping(self.options.clip_percentile))
        if self.options.decay_to < 1:
            callbacks.append(LinearDecay(self.options.decay_to))
        attempt = len([*(self.folder / "logs").glob("*")])
        limit, accumulate = self.options.max_steps_per_epoch, self.options.accumulate
        return lightning.Trainer(
            **vars(self.recipe.trainer),
            max_epochs=self.options.max_epochs,
            limit_train_batches=None if limit is None else limit * accumulate,
            accumulate_grad_batches=accumulate,
            callbacks=callbacks,
            plugins=WholeCheckpointIO(),
            logger=CSVLogger(
                self.folder, "logs", version=str(attempt), flush_logs_every_n_steps=20
            ),
            log_every_n_steps=5,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def _score(self, trainer: lightning.Trainer, model: WavLMSegmentation) -> dict[str, float]:
        """Measure loss and diarization error rate on the development set"""
        scorer, task = twin(model), self.diarization()
        scorer.task = task
        # pyannote.audio (4.0.7) does so for training alone
        task.trainer = trainer
        (scores,) = trainer.validate(scorer, verbose=False)
        return {key: scores[key] for key in ("loss/val", "DiarizationErrorRate")}

    def _save(self, trainer: lightning.Trainer, model: WavLMSegmentation, scores: dict[str, float]):
        """Write log, scores and, at last, the model"""
        if trainer.is_global_zero:
            logs = (self.folder / "logs").glob(f"*/{LOG}")
            merge_logs(sorted(logs, key=lambda path: int(path.parent.name)), self.folder / LOG)
            write_json(scores, self.folder / SCORES)
            model.provenance = model.provenance.scored(
                scores["loss/val"], scores["DiarizationErrorRate"]
            )
            save_checkpoint(model, self.folder / MODEL)
        trainer.strategy.barrier()


class DiarizationRun(StageRun):
    """Stage that trains WavLM and head to diarize"""

    monitor = "loss/val"

    @property
    def learning_rates(self) -> dict[str, float]:
        rates = {"wavlm_learning_rate": self.options.wavlm_learning_rate}
        return super().learning_rates | rates

    def task(self, models: Models) -> ResumableDiarization:
        return self.diarization()


class DistillationRun(StageRun):
    """Stage that trains WavLM to imitate its teacher"""

    def __init__(self, context: Context):
        super().__init__(context)
        self.monitor = monitored_value(self.options.output_weight, self.options.task_weight)

    @property
    @abstractmethod
    def target(self) -> dict[str, Any]:
        """Options of `DistillationPruning` about sparsity"""

    def task(self, models: Models) -> ResumableDiarization:
        pruning = self.recipe.pruning
        return DistillationPruning(
            self.context.protocol,
            **self.data_options(),
            teacher=models[0],
            objective=pruning.objective,
            layers=pruning.layers,
            l1_weight=pruning.l1_weight,
            cosine_weight=pruning.cosine_weight,
            output_weight=self.options.output_weight,
            task_weight=self.options.task_weight,
            extractor_gradient=pruning.extractor_gradient,
            learning_rate=self.options.learning_rate,
            **self.target,
        )


class FineTuneRun(DiarizationRun):
    """First stage: fine-tune the model that the recipe starts from"""

    name = "fine_tune"

    def start(self, models: Models) -> WavLMSegmentation:
        return first_model(self.recipe, **self.learning_rates)


class PruneRun(DistillationRun):
    """Second stage: attach gates to the fine-tuned model, train them, and prune"""

    name = "prune"

    @property
    def target(self) -> dict[str, Any]:
        return {
            "target_sparsity": self.recipe.pruning.target_sparsity,
            "scope": self.recipe.pruning.scope,
            "warm_up_epochs": self.options.warm_up_epochs,
            "gate_learning_rate": self.options.gate_learning_rate,
            "multiplier_learning_rate": self.options.multiplier_learning_rate,
        }

    @property
    def counted_epochs(self) -> dict[str, Any]:
        near = Near(EXPECTED_SPARSITY, self.recipe.pruning.target_sparsity, TOLERANCE)
        return {"first_epoch": self.options.warm_up_epochs, "after_peak": True, "near": near}

    def start(self, models: Models) -> WavLMSegmentation:
        return attach_model_gates(models[0], self.recipe.pruning.units, **self.learning_rates)

    def finish(
        self, model: WavLMSegmentation, models: Models
    ) -> tuple[WavLMSegmentation, dict[str, float]]:
        """Prune a model so that it meets the target, and measure the sparsity it was trained to"""
        pruning, gated = self.recipe.pruning, in_scope(model, self.recipe.pruning.scope)
        dense = dense_cost(in_scope(models[0], pruning.scope))
        target = pruning.target_sparsity
        expected = expected_sparsity(gated, dense, pruning.objective).item()
        if abs(expected - target) > TOLERANCE and process_rank() == 0:
            logger.warning(
                "Sparsity should end within %.0f points of `pruning.target_sparsity` (%.1f %%), "
                "found %.1f %%: the rest is %s at once, which no training has made up for yet. %s",
                100 * TOLERANCE,
                100 * target,
                100 * expected,
                *(_TOO_LOW if expected < target else _TOO_HIGH),
            )
        pruned = prune_to(model, target, dense, pruning.objective, pruning.scope)
        return pruned, {"expected_sparsity": expected}


class DistilRun(DistillationRun):
    """Third stage: distil the pruned model"""

    name = "distil"

    @property
    def target(self) -> dict[str, Any]:
        return {"target_sparsity": None}

    def start(self, models: Models) -> WavLMSegmentation:
        return twin(models[-1], **self.learning_rates)


class TrainRun(DiarizationRun):
    """Last stage: train the pruned model to diarize"""

    name = "train"

    def start(self, models: Models) -> WavLMSegmentation:
        return twin(models[-1], **self.learning_rates)

    def task(self, models: Models) -> ResumableDiarization:
        if not self.options.teacher_weight:
            return super().task(models)
        return DiarizationWithTeacher(
            self.context.protocol,
            **self.data_options(),
            teacher=models[0],
            teacher_weight=self.options.teacher_weight,
        )


# in the order in which they are run
STAGE_RUNS: tuple[type[StageRun], ...] = (FineTuneRun, PruneRun, DistilRun, TrainRun)
