"""Rules about several values of a recipe"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.schema import refuse, section
from ..segmentation.units import HEAD_UNITS
from .options import ConformerOptions, Export, Pruning, Stages


def check_speakers(per_chunk: int, per_frame: int) -> None:
    """Check that a frame has no more speakers than a window"""
    if per_frame > per_chunk:
        expected = f"at most `max_speakers_per_chunk` ({per_chunk})"
        refuse("max_speakers_per_frame", expected, per_frame)


def check_start(
    wavlm: str | dict[str, Any] | None,
    checkpoint: Path | str | None,
    conformer: Mapping[str, Any],
    export: Export,
) -> None:
    """Check that there is one thing to start from, and that others do not contradict it"""
    if (wavlm is None) == (checkpoint is None):
        both = "both" if wavlm else "none"
        raise ValueError(
            f"`wavlm` or `checkpoint` must be given, and only one of them, found {both}: the first "
            "one is an encoder to put under a new head, the other one a model to start from."
        )
    if checkpoint is None and export.from_checkpoint:
        refuse("export.from_checkpoint", "false without `checkpoint`", True)
    if checkpoint is not None and conformer:
        refuse("conformer", "absent when `checkpoint` is given, which has one", conformer)


def check_conformer(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check arguments of the Conformer together with the default ones, and return the given ones"""
    options = section(ConformerOptions, given, "conformer")
    if options.input_dim % options.num_heads:
        expected = f"a multiple of `conformer.num_heads` ({options.num_heads})"
        refuse("conformer.input_dim", expected, options.input_dim)
    if options.depthwise_conv_kernel_size % 2 == 0:
        key = "conformer.depthwise_conv_kernel_size"
        refuse(key, "odd", options.depthwise_conv_kernel_size)
    return {name: getattr(options, name) for name in given}


def check_stages(stages: Stages, is_trained: bool) -> None:
    """Check that stages have epochs, and a model to start from

    Parameters
    ----------
    stages : Stages
    is_trained : bool
        Whether the recipe starts from a model that was trained before.
    """
    if not any(stage.max_epochs for stage in vars(stages).values()):
        raise ValueError("One stage at least must have `max_epochs` above 0, found none.")
    if not is_trained and not stages.fine_tune.max_epochs:
        refuse(
            "stages.fine_tune.max_epochs",
            "above 0 without `checkpoint`: the other stages start from a model that was trained",
            0,
        )
    prune = stages.prune
    if prune.max_epochs and prune.warm_up_epochs >= prune.max_epochs:
        expected = f"below `stages.prune.max_epochs` ({prune.max_epochs})"
        refuse("stages.prune.warm_up_epochs", expected, prune.warm_up_epochs)


def check_pruning(pruning: Pruning, stages: Stages, wavlm: str | dict[str, Any] | None) -> None:
    """Check that students learn something, from layers that they have"""
    if stages.prune.max_epochs:
        _check_head_units(pruning, stages)
    for name in ("prune", "distil"):
        options = getattr(stages, name)
        of_layers = (pruning.l1_weight, pruning.cosine_weight)
        if options.max_epochs and not any((*of_layers, options.output_weight, options.task_weight)):
            raise ValueError(
                f"One of `pruning.l1_weight`, `pruning.cosine_weight`, `stages.{name}."
                f"output_weight` and `stages.{name}.task_weight` must be above 0, found none: that "
                "stage would learn nothing from its teacher."
            )
    if isinstance(wavlm, dict) and pruning.layers:
        last, layers = len(wavlm["layers"]), pruning.layers
        if max(layers) > last:
            refuse("pruning.layers", f"at most {last} (last layer of `wavlm`)", max(layers))


def _check_head_units(pruning: Pruning, stages: Stages) -> None:
    """Check that gates on the head, if there are any, would learn something"""
    units = [unit for unit in pruning.units if unit in HEAD_UNITS]
    if not units:
        return
    names = ", ".join(units)
    if pruning.scope != "model":
        expected = f"'model' with units of the head ({names})"
        refuse("pruning.scope", expected, pruning.scope)
    if not (stages.prune.output_weight or stages.prune.task_weight):
        raise ValueError(
            "`stages.prune.output_weight` or `stages.prune.task_weight` must be above 0 with units "
            f"of the head ({names}), found none: hidden states say nothing about the head."
        )
