"""Loss of the speaker diarization task"""

from __future__ import annotations

import torch
from pyannote.audio.utils.loss import nll_loss
from pyannote.audio.utils.permutation import permutate
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor


def diarization_loss(
    scores: Tensor, target: Tensor, powerset: Powerset, weight: Tensor | None = None
) -> Tensor:
    """Compute the permutation-invariant powerset loss of pyannote.audio's task from scores

    The step of that task (4.0.7) computes scores itself: tasks that need them for other losses as
    well would run the model twice.

    Parameters
    ----------
    scores : (batch_size, num_frames, num_powerset_classes) torch.Tensor
        Log-probabilities.
    target : (batch_size, num_frames, num_speakers) torch.Tensor
        Ones where speakers speak, in any order.
    powerset : Powerset
    weight : (batch_size, num_frames, 1) torch.Tensor, optional
        Weights of frames. Default to ones.

    Returns
    -------
    loss : () torch.Tensor
        NaN if scores are not finite: such steps can be skipped (see `SkipNonFinite`).
    """
    if not scores.isfinite().all():
        # speakers cannot be matched
        return float("nan") * scores.sum()
    if weight is None:
        weight = torch.ones_like(scores[..., :1])
    ordered, _ = permutate(powerset.to_multilabel(scores), target)
    classes = powerset.to_powerset(ordered.float()).argmax(dim=-1)
    return nll_loss(scores, classes, weight=weight)
