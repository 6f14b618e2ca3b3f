"""Steps of an epoch"""

from __future__ import annotations

import math

import lightning


def place_in_epoch(trainer: lightning.Trainer, batch_idx: int) -> tuple[int, int]:
    """Find the step that a batch belongs to: `accumulate_grad_batches` of them make a step

    Returns
    -------
    step : int
        From 0, in each epoch.
    num_steps : int
        Number of steps of the epoch, of which the last one may have fewer batches.
    """
    accumulate = trainer.accumulate_grad_batches
    return batch_idx // accumulate, math.ceil(trainer.num_training_batches / accumulate)
