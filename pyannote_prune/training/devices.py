"""Check the devices of a recipe"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
}


def world_size(trainer: Mapping[str, Any]) -> int:
    """Check devices, and count the processes that train together, on all machines

    Lightning checks and resolves these arguments ("auto", a list of devices) in the constructor of
    its Trainer, and in no other public place: the trainer that is made here is not used.

    Parameters
    ----------
    trainer : dict
        Arguments of Lightning's Trainer.

    Raises
    ------
    ValueError
        If this machine does not have these devices, or if other arguments exclude them.
    """
    try:
        return lightning.Trainer(**trainer, **QUIET).world_size
    except (ImportError, MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        accelerator, available = trainer.get("accelerator", "auto"), accelerators()
        if accelerator not in available:
            names = ", ".join(map(repr, available))
            raise ValueError(
                "`trainer.accelerator` must be one of the accelerators of this machine "
                f"({names}), found {accelerator!r}: use 'auto', or check drivers and the build of "
                "torch."
            ) from error
        given = ", ".join(f"{name}: {value}" for name, value in trainer.items())
        raise ValueError(
            f"`trainer` must be possible on this machine, found {given}. Lightning says: "
            f"{' '.join(str(error).split())}"
        ) from error


def accelerators() -> list[str]:
    """List the values of `trainer.accelerator` that this machine has devices for"""
    registry = AcceleratorRegistry
    names = sorted(registry.available_accelerators())
    found = [name for name in names if registry[name]["accelerator"].is_available()]
    return ["auto", *found, *(["gpu"] if {"cuda", "mps"} & {*found} else [])]


def process_rank() -> int:
    """Get the rank of this process in its training: 0 for the first one, or the only one

    Lightning sets it on a function, before there is a trainer.
    """
    return getattr(rank_zero_only, "rank", 0)
