"""Folder of a recipe, and the values that may change once stages have begun"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..files.atomic import remove_drafts_of
from ..files.folders import Difference, check_new, claim_new, find_differences, write_yaml
from ..files.moved_folders import is_moved
from .config import Pruning, Recipe, Stages

# name: title, in the order in which stages are run
STAGES = {
    "fine_tune": "Fine-tuning",
    "prune": "Pruning",
    "distil": "Distilling",
    "train": "Training",
}

# names in the folder of a recipe
RECIPE, PIPELINE, SUMMARY = "recipe.yml", "pipeline", "summary.json"

# names in the folder of a stage
MODEL, LAST = "model.ckpt", Path("checkpoints", "last.ckpt")
SCORES, LOG = "scores.json", "metrics.csv"

# keys that trained models do not depend on
FREE = (
    "num_workers",
    "in_memory",
    "max_skipped_steps",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.num_nodes",
    "export",
)

# what stages did before there were keys to change it
DEFAULTS = {"stages": asdict(Stages()), "pruning": {"scope": Pruning().scope}}

# keys of files and folders, which move with the folder of the recipe
PATHS = (
    "database",
    "checkpoint",
    "wavlm",
    "export.parts",
    "augmentation.noise.folder",
    "augmentation.impulse_responses.folder",
)


def stage_folder(output: Path, name: str) -> Path:
    """Locate the folder of a stage"""
    return output / f"{[*STAGES].index(name) + 1}-{name.replace('_', '-')}"


def begun_stages(output: Path) -> list[str]:
    """List the names of the stages that have a model or a checkpoint"""
    folders = {name: stage_folder(output, name) for name in STAGES}
    return [name for name, folder in folders.items() if _has_begun(folder)]


def check_folder(output: Path, recipe: Recipe):
    """Check that a folder is new, or comes from a recipe, without writing: see `claim_recipe`

    Raises
    ------
    ValueError
        If neither is true.
    """
    if (output / RECIPE).is_file():
        check_recipe(output, recipe)
        return
    remove_drafts_of(output / RECIPE)
    check_new(output, "output")


def claim_recipe(output: Path, recipe: Recipe):
    """Reserve a folder for a recipe, or check that it already is

    The pipeline of the folder is removed when it depends on a value that has changed.

    Parameters
    ----------
    output : Path
        Must not exist, be empty, or come from the same recipe (see `check_recipe`).
    recipe : Recipe

    Raises
    ------
    ValueError
        If the folder holds anything else, or if a stage that has begun depends on a value that has
        changed.
    """
    if not (output / RECIPE).is_file():
        claim_new(output, RECIPE, recipe.to_dict())
        return
    differences = check_recipe(output, recipe)
    if any(not _is_free(key) or key.startswith("export.") for key in differences):
        remove_pipeline(output)
    write_yaml(recipe.to_dict(), output / RECIPE)


def check_recipe(output: Path, recipe: Recipe) -> list[str]:
    """Check that no stage that has begun depends on a value that has changed

    Returns
    -------
    keys : list of str
        Keys of the values that have changed.

    Raises
    ------
    ValueError
        If one does: the message names key, values, folders.
    """
    differences = find_differences(output / RECIPE, recipe.to_dict(), DEFAULTS)
    differences = [x for x in differences if not _is_moved(x, output)]
    begun = begun_stages(output)
    refused = [(x, stages) for x in differences if (stages := _depending(x.key, begun))]
    if not refused:
        return [difference.key for difference in differences]
    values = ", ".join(str(difference) for difference, _ in refused)
    depending = {name for _, stages in refused for name in stages}
    folders = ", ".join(stage_folder(output, name).name for name in begun if name in depending)
    raise ValueError(
        f"`output` must be new, or the folder of the same recipe, found {str(output)!r}, whose "
        f"{RECIPE} has other values of {values}, with which {folders} began: remove {folders} to "
        "start again from there, or choose another folder."
    )


def remove_pipeline(output: Path):
    """Remove the pipeline of a model that is no longer the last one"""
    if (output / PIPELINE).is_dir():
        shutil.rmtree(output / PIPELINE)


def _has_begun(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (MODEL, LAST))


def _is_moved(difference: Difference, output: Path) -> bool:
    key, here, there = difference.key, difference.here, difference.there
    return key in PATHS and is_moved(here, there, output, RECIPE)


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _depending(key: str, begun: Sequence[str]) -> list[str]:
    """List the stages, among those that have begun, that depend on a value, directly or not"""
    if _is_free(key):
        return []
    section, *names = key.split(".")
    first = {"stages": names[:1], "pruning": ["prune"]}.get(section, ["fine_tune"])[0]
    return [name for name in [*STAGES][[*STAGES].index(first) :] if name in begun]
