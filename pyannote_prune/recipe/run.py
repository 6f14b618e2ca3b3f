"""From WavLM to a pruned pipeline, in four stages

A stage is a folder. What is in it says what remains to be done: `model.ckpt` is written at the end,
in one go, and `checkpoints/last.ckpt` is where an interrupted training starts again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from ..data.protocol import check_protocol, load_protocol
from ..files.atomic import remove_drafts, wait_for, writing
from ..files.folders import write_json
from ..files.locks import in_use
from ..files.pickles import last_checkpoint
from ..pipeline.export import check_parts, export_pipeline
from ..pruning.prune import gate, prune, with_encoder
from ..pruning.sparsity import expected_sparsity, meet_target, sparsity
from ..pruning.task import EXPECTED_SPARSITY, DistillationPruning
from ..segmentation.checkpoint import load_checkpoint, save_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..training.average import average_checkpoints
from ..training.best_checkpoints import BestCheckpoints, Near
from ..training.checkpoint_io import WholeCheckpointIO
from ..training.clipping import PercentileGradientClipping
from ..training.devices import world_size
from ..training.interruption import KeepSignals
from ..training.logs import merge_logs
from ..training.non_finite import SkipNonFinite
from ..training.progress import StepProgress
from ..training.task import SpeakerDiarization
from ..wavlm.cost import cost
from ..wavlm.huggingface import load_huggingface
from .config import Recipe, Stage
from .figures import plot_structure, plot_training
from .folder import (
    LAST,
    MODEL,
    PIPELINE,
    RECIPE,
    STAGES,
    begun_stages,
    check_folder,
    check_recipe,
    claim_recipe,
    remove_pipeline,
    stage_folder,
)

# largest difference between expected sparsity and its target that is taken for none
TOLERANCE = 0.02


SUMMARY, SCORES, LOG = "summary.json", "scores.json", "metrics.csv"


# what is done when sparsity ends too low (too high), and what to change
_TOO_LOW = (
    "closed",
    "Raise `stages.prune.max_epochs`, or `stages.prune.gate_learning_rate`.",
)


_TOO_HIGH = (
    "opened",
    "Raise `stages.prune.max_epochs`, or lower `stages.prune.multiplier_learning_rate`.",
)


logger = logging.getLogger(__name__)


class RecipeRun:
    """Recipe at work

    Parameters
    ----------
    recipe : Recipe
    output : Path
        Folder of the stages. Must not exist, be empty, or come from the same recipe, whose values
        may have changed where no stage that has begun depends on them.

    Raises
    ------
    ValueError
        If `output` comes from another recipe, or if another process uses it.
    """

    def __init__(self, recipe: Recipe, output: Path):
        self.recipe, self.output = recipe, Path(output)
        self.protocol = load_protocol(recipe.database, recipe.protocol)
        if rank_zero_only.rank == 0 and self.output.exists():
            with in_use(self.output):
                check_folder(self.output, recipe)

    def __call__(self) -> dict[str, Any]:
        """Run what remains to be done

        Nothing is written before everything that can be checked is.

        Returns
        -------
        summary : dict
            Content of `summary.json`: cost, sparsity and development scores of each stage.

        Raises
        ------
        ValueError
            If another process uses the folder, or if something cannot be trained with.
        OSError
            If a file cannot be found, or written.
        """
        with ExitStack() as locks:
            lock = nullcontext() if rank_zero_only.rank > 0 else in_use(self.output)
            if self.output.is_dir():
                locks.enter_context(lock)
                self.check()
            else:
                self.check()
                locks.enter_context(lock)
            with writing(self.output):
                self._claim()
                return self._run_stages()

    def check(self):
        """Check data, devices, start and parts of the pipeline, as long as something needs them

        Raises
        ------
        ValueError, OSError
            If something is wrong: the message names a key of the recipe, or a file.
        """
        export = self.recipe.export
        if not (self.output / PIPELINE).exists() and export.settings.needs_embeddings:
            check_parts(export.parts)
        if self.final.is_file():
            return
        for name in self.stages():
            self._data(name)
        check_protocol(self.protocol, self.recipe.duration, self.recipe.in_memory)
        if not begun_stages(self.output):
            if self.recipe.checkpoint is not None:
                load_checkpoint(self.recipe.checkpoint)
            elif isinstance(self.recipe.wavlm, str):
                load_huggingface(self.recipe.wavlm)

    def _run_stages(self) -> dict[str, Any]:
        stages = self.stages()
        if "fine_tune" in stages:
            teacher = self._run("fine_tune", self._start, self._diarization)
        else:
            teacher = self._start()
        model = teacher
        if "prune" in stages:
            model = self._run(
                "prune",
                lambda: gate(teacher, self.recipe.pruning.units),
                lambda name: self._distillation(name, teacher),
                finish=lambda model: self._prune(model, teacher),
            )
        for name, task in (
            ("distil", lambda name: self._distillation(name, teacher)),
            ("train", self._diarization),
        ):
            if name in stages:
                model = self._run(name, partial(twin, model), task)
        if rank_zero_only.rank == 0:
            self._conclude(teacher, model)
        wait_for(self.output / SUMMARY)
        return json.loads((self.output / SUMMARY).read_text(encoding="utf-8"))

    def _claim(self):
        """Make the folder ours: the first process does, others wait until it has"""
        if rank_zero_only.rank > 0:
            wait_for(self.output / RECIPE)
            check_recipe(self.output, self.recipe)
            return
        claim_recipe(self.output, self.recipe)
        remove_drafts(self.output)

    def folder(self, name: str) -> Path:
        """Folder of a stage"""
        return stage_folder(self.output, name)

    def stages(self) -> list[str]:
        """Names of the stages that this recipe has"""
        return [name for name in STAGES if getattr(self.recipe.stages, name).max_epochs]

    @property
    def final(self) -> Path:
        """Checkpoint of the last stage"""
        return self.folder(self.stages()[-1]) / MODEL

    def _run(
        self,
        name: str,
        make_model: Callable[[], WavLMSegmentation],
        make_task: Callable[[str], SpeakerDiarization],
        finish: Callable[[WavLMSegmentation], tuple[WavLMSegmentation, dict[str, float]]] = (
            lambda model: (model, {})
        ),
    ) -> WavLMSegmentation:
        """Train, average, score and save, unless that was done"""
        folder = self.folder(name)
        if not (folder / MODEL).is_file():
            if rank_zero_only.rank == 0:
                remove_pipeline(self.output)
            lightning.seed_everything(self.recipe.seed, verbose=False)
            model = make_model()
            stage = getattr(self.recipe.stages, name)
            model.hparams.learning_rate = stage.learning_rate
            model.hparams.wavlm_learning_rate = getattr(
                stage, "wavlm_learning_rate", model.hparams.wavlm_learning_rate
            )
            model.task = make_task(name)
            trainer, checkpoints = self._trainer(name)
            last = folder / LAST
            trainer.fit(model, ckpt_path=last_checkpoint(last))

            # training can end before any epoch counts: the last one then has to do
            paths = checkpoints.best_paths or [last]
            model.load_state_dict(average_checkpoints(paths))
            model, scores = finish(model)
            scores |= self._score(name, trainer, model)
            if trainer.is_global_zero:
                logs = sorted((folder / "logs").glob(f"*/{LOG}"), key=lambda p: int(p.parent.name))
                merge_logs(logs, folder / LOG)
                write_json(scores, folder / SCORES)
                save_checkpoint(model, folder / MODEL)
            trainer.strategy.barrier()
        return load_checkpoint(folder / MODEL)

    def _start(self) -> WavLMSegmentation:
        if self.recipe.checkpoint is not None:
            return load_checkpoint(self.recipe.checkpoint)
        return WavLMSegmentation(wavlm=self.recipe.wavlm, conformer=self.recipe.conformer)

    def _data(self, name: str) -> dict[str, Any]:
        """Arguments that tasks share"""
        world_size = self._world_size
        batch_size = getattr(self.recipe.stages, name).batch_size
        if batch_size % world_size:
            raise ValueError(
                f"`stages.{name}.batch_size` must be a multiple of the number of devices "
                f"({world_size}), which share it, found {batch_size}."
            )
        return {
            "duration": self.recipe.duration,
            "max_speakers_per_chunk": self.recipe.max_speakers_per_chunk,
            "max_speakers_per_frame": self.recipe.max_speakers_per_frame,
            "batch_size": batch_size // world_size,
            "num_workers": self.recipe.num_workers,
        }

    @cached_property
    def _world_size(self) -> int:
        return world_size(vars(self.recipe.trainer))

    def _diarization(self, name: str) -> SpeakerDiarization:
        task = SpeakerDiarization(self.protocol, **self._data(name))
        self._place(task)
        if not task.has_validation:
            raise ValueError(
                f"`protocol` must have a development set, found none in {self.recipe.protocol}: "
                "checkpoints are chosen by their scores there."
            )
        return task

    def _distillation(self, name: str, teacher: WavLMSegmentation) -> DistillationPruning:
        pruning, stage = self.recipe.pruning, getattr(self.recipe.stages, name)
        if name == "prune":
            options = {
                "target_sparsity": pruning.target_sparsity,
                "warm_up_epochs": stage.warm_up_epochs,
                "gate_learning_rate": stage.gate_learning_rate,
                "multiplier_learning_rate": stage.multiplier_learning_rate,
            }
        else:
            options = {"target_sparsity": None}
        task = DistillationPruning(
            self.protocol,
            **self._data(name),
            teacher=teacher,
            objective=pruning.objective,
            layers=pruning.layers,
            l1_weight=pruning.l1_weight,
            cosine_weight=pruning.cosine_weight,
            extractor_gradient=pruning.extractor_gradient,
            learning_rate=stage.learning_rate,
            **options,
        )
        self._place(task)
        return task

    def _place(self, task: SpeakerDiarization):
        """Say where decoded audio and prepared data are"""
        task.in_memory, task.folder = self.recipe.in_memory, self.output

    def _trainer(self, name: str) -> tuple[lightning.Trainer, BestCheckpoints]:
        folder, stage = self.folder(name), getattr(self.recipe.stages, name)
        checkpoints = self._checkpoints(name, stage)
        skip = SkipNonFinite(self.recipe.max_skipped_steps)
        callbacks = [checkpoints, skip, StepProgress(STAGES[name]), KeepSignals()]
        if stage.clip_percentile is not None:
            callbacks.append(PercentileGradientClipping(stage.clip_percentile))
        attempt = len([*(folder / "logs").glob("*")])
        limit = stage.max_steps_per_epoch
        trainer = lightning.Trainer(
            **vars(self.recipe.trainer),
            max_epochs=stage.max_epochs,
            limit_train_batches=None if limit is None else limit * stage.accumulate,
            accumulate_grad_batches=stage.accumulate,
            callbacks=callbacks,
            plugins=WholeCheckpointIO(),
            logger=CSVLogger(folder, "logs", version=str(attempt), flush_logs_every_n_steps=20),
            log_every_n_steps=5,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        return trainer, checkpoints

    def _checkpoints(self, name: str, stage: Stage) -> BestCheckpoints:
        distance = name in ("prune", "distil")
        return BestCheckpoints(
            self.folder(name) / "checkpoints",
            monitor="loss/distillation/val" if distance else "loss/val",
            num_best=stage.average,
            patience=stage.patience,
            first_epoch=stage.warm_up_epochs if name == "prune" else 0,
            after_peak=name == "prune",
            near=self._near_target if name == "prune" else None,
        )

    @property
    def _near_target(self) -> Near:
        return Near(EXPECTED_SPARSITY, self.recipe.pruning.target_sparsity, TOLERANCE)

    def _prune(
        self, model: WavLMSegmentation, teacher: WavLMSegmentation
    ) -> tuple[WavLMSegmentation, dict[str, float]]:
        """Pruned model, which meets the target, and how far from it training was"""
        pruning, dense = self.recipe.pruning, cost(teacher.wavlm)
        target = pruning.target_sparsity
        expected = expected_sparsity(model.wavlm, dense, pruning.objective).item()
        if abs(expected - target) > TOLERANCE and rank_zero_only.rank == 0:
            logger.warning(
                "Sparsity should end within %.0f points of `pruning.target_sparsity` (%.1f %%), "
                "found %.1f %%: the rest is %s at once, which no training has made up for yet. %s",
                100 * TOLERANCE,
                100 * target,
                100 * expected,
                *(_TOO_LOW if expected < target else _TOO_HIGH),
            )
        met = meet_target(model.wavlm, target, dense, pruning.objective)
        return prune(with_encoder(model, met)), {"expected_sparsity": expected}

    def _score(
        self, name: str, trainer: lightning.Trainer, model: WavLMSegmentation
    ) -> dict[str, float]:
        """Development scores of a model, with the stock task"""
        scorer = twin(model)
        scorer.task = self._diarization(name)
        scorer.task.trainer = trainer
        (scores,) = trainer.validate(scorer, verbose=False)
        return {key: scores[key] for key in ("loss/val", "DiarizationErrorRate")}

    def _conclude(self, teacher: WavLMSegmentation, final: WavLMSegmentation):
        """Summary, figures and pipeline"""
        summary = {}
        for name in self.stages():
            size = cost(load_checkpoint(self.folder(name) / MODEL).wavlm)
            summary[name] = {
                "parameters": size.parameters,
                "macs_per_second": size.macs_per_second,
                "sparsity": sparsity(size, cost(teacher.wavlm), self.recipe.pruning.objective),
                **json.loads((self.folder(name) / SCORES).read_text(encoding="utf-8")),
            }
        plot_structure(teacher.wavlm.config, final.wavlm.config, self.output / "structure.png")
        logs = {STAGES[name]: self.folder(name) / LOG for name in self.stages()}
        plot_training(logs, self.output / "training.png")
        if not (self.output / PIPELINE).exists():
            export = self.recipe.export
            export_pipeline(final, self.output / PIPELINE, export.parts, export.settings)
        remove_drafts(self.output)  # prepared data
        write_json(summary, self.output / SUMMARY)


def twin(model: WavLMSegmentation) -> WavLMSegmentation:
    """Copy that can be trained while the original stays as it is"""
    return with_encoder(model, model.wavlm)
