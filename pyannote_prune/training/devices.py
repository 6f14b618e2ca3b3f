"""Devices that a recipe asks for"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


def world_size(trainer: Mapping[str, Any]) -> int:
    """Number of processes that train together, in all machines

    Parameters
    ----------
    trainer : dict
        Arguments of Lightning's Trainer.

    Raises
    ------
    ValueError
        If this machine does not have these devices, or if they do not go with the other arguments.
    """
    try:
        return lightning.Trainer(**trainer, **QUIET).world_size
    except (ImportError, MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        accelerator, available = trainer.get("accelerator", "auto"), accelerators()
        if accelerator not in available:
            names = ", ".join(map(repr, available))
            raise ValueError(
                f"`trainer.accelerator` must be one of those of this machine ({names}), found "
                f"{accelerator!r}: use 'auto', or check drivers and the build of torch."
            ) from error
        given = ", ".join(f"{name}: {value}" for name, value in trainer.items())
        raise ValueError(
            f"`trainer` must be possible on this machine, found {given}. Lightning says: "
            f"{' '.join(str(error).split())}"
        ) from error


def accelerators() -> list[str]:
    """Values of `trainer.accelerator` that this machine has devices for"""
    registry = AcceleratorRegistry
    names = sorted(registry.available_accelerators())
    found = [name for name in names if registry[name]["accelerator"].is_available()]
    return ["auto", *found, *(["gpu"] if {"cuda", "mps"} & {*found} else [])]
