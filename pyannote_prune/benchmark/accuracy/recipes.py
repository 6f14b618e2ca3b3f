"""Recipes of arms, with the same data, steps and schedule"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...segmentation.units import HEAD_UNITS
from ...wavlm.config import WavLMConfig
from .arms import MAX_SPEAKERS, ONE_SHOT, Arm, Scale

STAGES = ("fine_tune", "prune", "distil", "train")

# methods whose stages are ours (see `Scale.ours`)
OUR_METHODS = ("gates", "gradient", "whole", "hidden")

# weights of decisions, which one of them leaves out
DECISIONS = ("output_weight", "task_weight", "teacher_weight")

# options of pruning by method, other than the default ones of recipes
PRUNING: dict[str, dict[str, Any]] = {
    "gradient": {"extractor_gradient": 0.1},
    "paper": {"extractor_gradient": 0.1},
    "early": {"extractor_gradient": 0.1},
    "whole": {"scope": "model", "units": ["channel", "head", "neuron", *HEAD_UNITS]},
}

PROTOCOL = "Evidence.SpeakerDiarization.Conversations"


def recipe(
    arm: Arm,
    scale: Scale,
    database: Path,
    checkpoint: Path | None = None,
    wavlm: WavLMConfig | None = None,
) -> dict[str, Any]:
    """Make the recipe of an arm

    Parameters
    ----------
    arm : Arm
    scale : Scale
    database : Path
        `database.yml` of PROTOCOL.
    checkpoint : Path, optional
        Model to start from. Defaults to none: random weights.
    wavlm : WavLMConfig, optional
        Structure of WavLM when there is no checkpoint. Defaults to the dense one.

    Returns
    -------
    recipe : dict
        Argument of `Recipe.from_dict`.
    """
    start: dict[str, Any] = {"checkpoint": str(checkpoint)}
    if checkpoint is None:
        config = wavlm or WavLMConfig.dense(**scale.wavlm)
        start = {"wavlm": config.to_dict(), "conformer": scale.conformer}
    return {
        "protocol": PROTOCOL,
        "database": str(database),
        **start,
        "seed": arm.seed,
        "duration": scale.duration,
        "max_speakers_per_chunk": MAX_SPEAKERS,
        "num_workers": 0,
        "in_memory": True,
        "pruning": {
            "target_sparsity": arm.sparsity,
            "objective": arm.objective,
            **PRUNING.get(arm.method, {}),
        },
        "stages": stages(arm, scale),
        "trainer": {"accelerator": "auto", "devices": 1},
        "export": {"oracle_clustering": True},
    }


def stages(arm: Arm, scale: Scale) -> dict[str, Any]:
    """Make the stages of the recipe of an arm"""
    again = scale.prune + scale.distil + scale.train
    epochs = {
        "dense": {"fine_tune": scale.fine_tune},
        # as many epochs as all stages of other arms, pretraining included
        "scratch": {"fine_tune": scale.pretrain + scale.fine_tune + again},
        "longer": {"train": again},
        **{method: {"train": again} for method in ONE_SHOT},
        # fine-tuning comes last
        "early": {
            "prune": scale.prune,
            "distil": scale.distil,
            "train": scale.train + scale.fine_tune,
        },
    }.get(
        arm.method,
        {"prune": scale.prune, "distil": scale.distil, "train": scale.train},
    )
    shared = {
        "batch_size": scale.batch_size,
        "max_steps_per_epoch": scale.epoch,
        "average": 3,
        "patience": None,
        "learning_rate": scale.learning_rate,
    }
    found: dict[str, dict[str, Any]] = {
        name: {"max_epochs": epochs.get(name, 0), **shared} for name in STAGES
    }
    for name in ("fine_tune", "train"):
        found[name]["wavlm_learning_rate"] = scale.learning_rate
        found[name]["decay_to"] = scale.decay_to
    found["prune"]["warm_up_epochs"] = scale.warm_up
    found["prune"]["gate_learning_rate"] = scale.gate_learning_rate
    found["prune"]["multiplier_learning_rate"] = scale.multiplier_learning_rate
    if arm.method in OUR_METHODS:
        for ours in (scale.ours, scale.ours_from_90 if arm.sparsity >= 0.9 else {}):
            for name, options in ours.items():
                found[name] |= options
    if arm.method == "hidden":
        found = {
            name: {key: value for key, value in stage.items() if key not in DECISIONS}
            for name, stage in found.items()
        }
    return found
