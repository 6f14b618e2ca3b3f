"""Compare student and teacher: hidden states, and posteriors"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def layer_distance(
    student: Tensor,
    teacher: Tensor,
    l1_weight: float = 1.0,
    cosine_weight: float = 1.0,
    l2_weight: float = 0.0,
) -> Tensor:
    """Compute the average distance between hidden states of student and teacher

    Parameters
    ----------
    student, teacher : (batch_size, num_layers, num_frames, num_features) torch.Tensor
        Hidden states of the layers to match.
    l1_weight, cosine_weight, l2_weight : float, optional
        Weights of the L1 distance, of (minus) the cosine similarity, and of the squared distance.
        Default to 1, 1 and 0.

    Returns
    -------
    distance : () torch.Tensor
        With default weights, L1 distance minus cosine similarity: -1 when equal.

    Raises
    ------
    ValueError
        If the two shapes differ.

    References
    ----------
    Peng et al., "DPHuBERT: Joint Distillation and Pruning of Self-Supervised Speech Models",
    Interspeech 2023 (distillation loss).
    """
    if student.shape != teacher.shape:
        raise ValueError(
            "`student` and `teacher` must have the same shape, found "
            f"{tuple(student.shape)} and {tuple(teacher.shape)}."
        )
    # single precision under autocast too, for differences of similar numbers
    student, teacher = student.float(), teacher.float()
    distance = torch.zeros((), device=student.device)
    if l1_weight:
        distance = distance + l1_weight * F.l1_loss(student, teacher)
    if cosine_weight:
        similarity = F.cosine_similarity(student, teacher, dim=-1).mean()
        distance = distance - cosine_weight * similarity
    if l2_weight:
        distance = distance + l2_weight * F.mse_loss(student, teacher)
    return distance


def posterior_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute the divergence KL(teacher || student) of posteriors, averaged over frames

    Parameters
    ----------
    student, teacher : (batch_size, num_frames, num_classes) torch.Tensor
        Log-probabilities.

    Returns
    -------
    divergence : () torch.Tensor
        In nats: 0 when equal.

    Raises
    ------
    ValueError
        If the two shapes differ.

    References
    ----------
    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015 (here, at temperature 1).
    """
    if student.shape != teacher.shape:
        raise ValueError(
            "Posteriors of `student` and `teacher` must have the same shape, with the same "
            f"classes, found {tuple(student.shape)} and {tuple(teacher.shape)}."
        )
    student, teacher = student.float(), teacher.float()
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1).mean()


def matched_layers(num_layers: int, layers: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """List the indices of the hidden states to match

    Parameters
    ----------
    num_layers : int
        Number of layers of the encoder. It has one more hidden state: the input of the first layer.
    layers : tuple of int, optional
        Defaults to four of them, evenly spaced, first and last included.

    Raises
    ------
    ValueError
        If a layer is out of range, or given twice.

    Examples
    --------
    >>> matched_layers(12)
    (0, 4, 8, 12)
    >>> matched_layers(24)
    (0, 8, 16, 24)
    """
    if layers is None:
        return tuple(sorted({round(i * num_layers / 3) for i in range(4)}))
    if not layers or len(set(layers)) != len(layers) or not set(layers) <= {*range(num_layers + 1)}:
        raise ValueError(
            f"`layers` must be different indices from 0 to {num_layers} (hidden states of the "
            f"encoder), found {tuple(layers)}."
        )
    return tuple(layers)
