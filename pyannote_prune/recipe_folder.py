"""Folder of a recipe: what may change in a recipe once stages have begun"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from .folders import Difference, claim_new, find_differences, write_yaml
from .recipe_config import Recipe

# name: title, in the order in which stages are run
STAGES = {
    "fine_tune": "Fine-tuning",
    "prune": "Pruning",
    "distil": "Distilling",
    "train": "Training",
}

RECIPE, PIPELINE = "recipe.yml", "pipeline"

# names in the folder of a stage
MODEL, LAST = "model.ckpt", Path("checkpoints", "last.ckpt")

# keys that nothing of what was learned depends on
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

# keys of files and folders, which move with the folder of the recipe
PATHS = ("database", "checkpoint", "wavlm", "export.parts")


def stage_folder(output: Path, name: str) -> Path:
    """Folder of a stage"""
    return output / f"{[*STAGES].index(name) + 1}-{name.replace('_', '-')}"


def begun_stages(output: Path) -> list[str]:
    """Names of the stages that have learned something"""
    files = {name: stage_folder(output, name) for name in STAGES}
    return [
        name for name, folder in files.items() if any((folder / x).is_file() for x in (MODEL, LAST))
    ]


def claim_recipe(output: Path, recipe: Recipe):
    """Make a folder that of a recipe, or check that it is

    The recipe may have other values than the one that the folder comes from where nothing that was
    learned depends on them. The pipeline of the folder is removed when it depends on them.

    Parameters
    ----------
    output : Path
        Must not exist, be empty, or come from the same recipe.
    recipe : Recipe

    Raises
    ------
    ValueError
        If the folder is in use by anything else, or if a stage that has begun depends on a value
        that has changed: the message names key, values and folders.
    """
    path, content = output / RECIPE, recipe.to_dict()
    if not path.is_file():
        claim_new(output, RECIPE, content)
        return
    differences = find_differences(path, content)
    if not differences:
        return
    differences = [x for x in differences if not is_moved(x, output)]
    begun = begun_stages(output)
    refused = [(x, stages) for x in differences if (stages := _depending(x, begun))]
    if refused:
        values = ", ".join(str(difference) for difference, _ in refused)
        depending = {name for _, stages in refused for name in stages}
        folders = [stage_folder(output, name).name for name in begun if name in depending]
        raise ValueError(
            f"`output` must be new, or the folder of the same recipe, found {str(output)!r}, whose "
            f"{RECIPE} has other values of {values}, with which {', '.join(folders)} began: remove "
            f"{', '.join(folders)} to start again from there, or choose another folder."
        )
    if any(not _is_free(x.key) or x.key.startswith("export.") for x in differences):
        remove_pipeline(output)
    write_yaml(content, path)


def remove_pipeline(output: Path):
    """Remove the pipeline of models that are not the last ones any more"""
    if (output / PIPELINE).is_dir():
        shutil.rmtree(output / PIPELINE)


def is_moved(difference: Difference, output: Path) -> bool:
    """Whether a path is the same one, in a project that was moved with its `output`

    It ends as the other one does, they start as `output` does and did, and the other one is gone.
    """
    here, there = difference.here, difference.there
    if difference.key not in PATHS or not (isinstance(here, str) and isinstance(there, str)):
        return False
    here, there = Path(here), Path(there)
    if not (here.is_absolute() and there.is_absolute()) or there.exists():
        return False
    while here.name == there.name and here.name:
        here, there = here.parent, there.parent
    return output.resolve().is_relative_to(here.resolve())


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _depending(difference: Difference, begun: Sequence[str]) -> list[str]:
    """Stages, among those that have begun, that depend on a value: later ones too"""
    key = difference.key.split(".")
    if _is_free(difference.key):
        return []
    first = "fine_tune"
    if key[0] == "stages":
        first = key[1]
    elif key[0] == "pruning":
        first = "prune"
    return [name for name in [*STAGES][[*STAGES].index(first) :] if name in begun]
