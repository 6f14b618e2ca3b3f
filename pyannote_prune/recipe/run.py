"""Run a recipe: from WavLM to a pruned pipeline, in four stages"""

from __future__ import annotations

import json
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from ..data.protocol import check_protocol, load_protocol
from ..files.atomic import remove_drafts, wait_for, writing
from ..files.folders import write_json
from ..files.locks import in_use
from ..pipeline.export import check_parts, export_pipeline
from ..pruning.scope import dense_cost, in_scope
from ..pruning.sparsity import sparsity
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.model import WavLMSegmentation
from ..training.devices import process_rank
from ..wavlm.huggingface import load_huggingface
from .config import Recipe
from .export_arguments import export_arguments
from .folder import (
    LOG,
    MODEL,
    PIPELINE,
    RECIPE,
    SCORES,
    STAGES,
    SUMMARY,
    begun_stages,
    check_folder,
    check_recipe,
    claim_recipe,
    stage_folder,
)
from .stages import STAGE_RUNS, Context, StageRun
from .starting_models import check_same_output, first_model, read_checkpoint
from .structure_figure import plot_structure
from .training_figure import plot_training


class RecipeRun:
    """Run of a recipe in a folder

    Parameters
    ----------
    recipe : Recipe
    output : Path
        Folder of the stages. Must not exist, be empty, or come from the same recipe: values that
        stages which have begun depend on must be the same.

    Raises
    ------
    ValueError
        If `output` comes from another recipe, or if another process uses it.
    """

    def __init__(self, recipe: Recipe, output: Path):
        self.recipe, self.output = recipe, Path(output)
        self.protocol = load_protocol(recipe.database, recipe.protocol)
        context = Context(recipe, self.output, self.protocol)
        self.fine_tune, *self.later_stages = (make(context) for make in STAGE_RUNS)
        if process_rank() == 0 and self.output.exists():
            with in_use(self.output):
                check_folder(self.output, recipe)

    def __call__(self) -> dict[str, Any]:
        """Run the stages that are not finished

        All checks come before the first file is written.

        Returns
        -------
        summary : dict
            Content of `summary.json`: cost, sparsity and development scores of each stage.

        Raises
        ------
        ValueError
            If another process uses the folder, or if data, devices or values exclude training.
        OSError
            If a file cannot be found, or written.
        """
        with ExitStack() as locks:
            lock = nullcontext() if process_rank() > 0 else in_use(self.output)
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
        """Check data, devices, first model and parts of the pipeline, unless they were used already

        Raises
        ------
        ValueError, OSError
            If one of them cannot be used: the message names a key of the recipe, or a file.
        """
        if not (self.output / PIPELINE).exists():
            export = export_arguments(self.recipe)
            check_parts(export["parts"], export["plda"], export["settings"].parts)
        if self.final.is_file():
            return
        for stage in self._wanted():
            stage.data_options()
        check_protocol(self.protocol, self.recipe.duration, self.recipe.in_memory)
        if not begun_stages(self.output):
            if self.recipe.checkpoint is not None:
                first = read_checkpoint(self.recipe.checkpoint)
                first.provenance.stated(self.recipe.export.licence)
                if not self.fine_tune.is_wanted:
                    check_same_output(self.recipe, first)
            elif isinstance(self.recipe.wavlm, str):
                load_huggingface(self.recipe.wavlm)

    def _run_stages(self) -> dict[str, Any]:
        models = [] if self.fine_tune.is_wanted else [first_model(self.recipe)]
        for stage in self._wanted():
            models = [*models[:1], stage(models)]  # teacher, last model
        if process_rank() == 0:
            self._conclude(models[0], models[-1])
        wait_for(self.output / SUMMARY)
        return json.loads((self.output / SUMMARY).read_text(encoding="utf-8"))

    def _claim(self):
        """Reserve the folder: the first process does, and others wait for it"""
        if process_rank() > 0:
            wait_for(self.output / RECIPE)
            check_recipe(self.output, self.recipe)
            return
        claim_recipe(self.output, self.recipe)
        remove_drafts(self.output)

    def folder(self, name: str) -> Path:
        """Locate the folder of a stage"""
        return stage_folder(self.output, name)

    def stages(self) -> list[str]:
        """List the names of the stages that have epochs in this recipe"""
        return [stage.name for stage in self._wanted()]

    def _wanted(self) -> list[StageRun]:
        return [stage for stage in (self.fine_tune, *self.later_stages) if stage.is_wanted]

    @property
    def final(self) -> Path:
        """Checkpoint of the last stage"""
        return self.folder(self.stages()[-1]) / MODEL

    def _conclude(self, teacher: WavLMSegmentation, final: WavLMSegmentation):
        """Write summary, figures and pipeline"""
        summary = {}
        dense = dense_cost(in_scope(teacher, self.recipe.pruning.scope))
        for name in self.stages():
            model = load_checkpoint(self.folder(name) / MODEL)
            size = dense_cost(in_scope(model, self.recipe.pruning.scope))
            summary[name] = {
                "parameters": size.parameters,
                "macs_per_second": size.macs_per_second,
                "sparsity": sparsity(size, dense, self.recipe.pruning.objective),
                **json.loads((self.folder(name) / SCORES).read_text(encoding="utf-8")),
            }
        plot_structure(teacher.wavlm.config, final.wavlm.config, self.output / "structure.png")
        logs = {STAGES[name]: self.folder(name) / LOG for name in self.stages()}
        plot_training(logs, self.output / "training.png")
        if not (self.output / PIPELINE).exists():
            export_pipeline(final, self.output / PIPELINE, **export_arguments(self.recipe))
        remove_drafts(self.output)  # prepared data
        write_json(summary, self.output / SUMMARY)
