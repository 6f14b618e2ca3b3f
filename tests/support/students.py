"""Students of a tiny teacher, and tasks that prune them"""

import torch

from pyannote_prune import (
    DistillationPruning,
    WavLMSegmentation,
    gate,
)
from pyannote_prune.segmentation.checkpoint import load_checkpoint

# of windows, in seconds
DURATION = 2.0

UNITS = ("channel", "head", "neuron")

# of the terms that a student may learn besides hidden states
DECISIONS = {"output_weight": 0.7, "task_weight": 0.3}


def make_task(protocol, teacher, **options) -> DistillationPruning:
    """Task that prunes a student by a half, in small batches"""
    options = {
        "target_sparsity": 0.5,
        "warm_up_epochs": 1,
        "batch_size": 8,
        "num_workers": 0,
    } | options
    return DistillationPruning(
        protocol, duration=DURATION, max_speakers_per_chunk=3, teacher=teacher, **options
    )


def make_student(teacher, units=UNITS) -> WavLMSegmentation:
    """The teacher of a checkpoint, with gates whose first draws are always the same"""
    torch.manual_seed(1)
    model = load_checkpoint(teacher)
    return gate(model, units) if units else model
