"""Train the model of an arm, and describe it"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files.folders import write_yaml
from ...recipe.config import Recipe
from ...recipe.run import RecipeRun
from ...segmentation.checkpoint import load_checkpoint, save_checkpoint
from ...segmentation.cost import model_cost
from ...wavlm.config import WavLMConfig
from ...wavlm.cost import cost
from .arms import ONE_SHOT, Arm, Scale
from .magnitude import prune_by_magnitude
from .pretraining import pretrain
from .recipes import PROTOCOL, recipe


def pretrain_arm(arm: Arm, scale: Scale, database: Path, folder: Path) -> Path:
    """Pretrain the model that other arms start from, or resume its training

    Parameters
    ----------
    arm : Arm
        Of method "pretrained".
    scale : Scale
    database : Path
        `database.yml` of the conversations.
    folder : Path
        Folder of the arm.

    Returns
    -------
    model : Path
        Checkpoint.
    """
    config = WavLMConfig.dense(**scale.wavlm)
    return pretrain(config, scale, database, PROTOCOL, arm.seed, folder / "run")


def train_arm(
    arm: Arm, scale: Scale, database: Path, folder: Path, source: Path | None
) -> RecipeRun:
    """Run the recipe of an arm, or resume it

    Parameters
    ----------
    arm : Arm
    scale : Scale
    database : Path
        `database.yml` of the conversations.
    folder : Path
        Folder of the arm. The recipe, and a model that is pruned at once, are beside it.
    source : Path or None
        Model of the arm that this one needs, if it needs one.

    Returns
    -------
    run : RecipeRun
        Which is finished.
    """
    content = recipe(arm, scale, database, **_start(arm, source, folder))
    path = folder.with_name(f"{arm.name}.yml")
    write_yaml(content, path)
    run = RecipeRun(Recipe.load(path), folder / "run")
    run()
    return run


def _start(arm: Arm, source: Path | None, folder: Path) -> dict[str, Any]:
    """Make options of `recipe`: checkpoint to start from, or structure"""
    if source is None:
        return {}
    if arm.method == "scratch":
        return {"wavlm": load_checkpoint(source).wavlm.config}
    if arm.method not in ONE_SHOT:
        return {"checkpoint": source}
    path = folder.with_name(f"{arm.name}.ckpt")
    pruned = prune_by_magnitude(
        load_checkpoint(source), arm.sparsity, per_layer=arm.method == "magnitude-layer"
    )
    save_checkpoint(pruned, path)
    return {"checkpoint": path}


def describe(path: Path) -> dict[str, Any]:
    """Describe the model of a checkpoint: its cost, with the head, and that of its WavLM"""
    model = load_checkpoint(path)
    size, whole = cost(model.wavlm), model_cost(model)
    return {
        # with the head
        "model_parameters": whole.parameters,
        "model_macs_per_second": whole.macs_per_second,
        "parameters": size.parameters,
        "macs_per_second": size.macs_per_second,
    }


def removed(result: Mapping[str, Any], dense: Mapping[str, Any]) -> dict[str, float]:
    """Shares of a dense model that an arm has removed, from descriptions of both

    Returns
    -------
    shares : dict of float
        "removed" (parameters of WavLM), "removed_macs" (of WavLM), "removed_model" (parameters,
        head included).
    """
    keys = {
        "removed": "parameters",
        "removed_macs": "macs_per_second",
        "removed_model": "model_parameters",
    }
    return {name: 1 - result[key] / dense[key] for name, key in keys.items()}
