"""Rules of distillation: students that fit their teacher, gates, and weights of the loss"""

from __future__ import annotations

import math

from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import single_specifications
from ..wavlm.cost import Cost
from .scope import check_scope, in_scope
from .sparsity import check_reachable


def check_fit(student: WavLMSegmentation, teacher: WavLMSegmentation, duration: float) -> None:
    """Check that student and teacher have comparable hidden states, of windows of one length

    Parameters
    ----------
    student, teacher : WavLMSegmentation
    duration : float
        Length of the windows that the student is trained on, in seconds.
    """
    for name in ("embed_dim", "num_layers"):
        found, expected = (getattr(one.wavlm.config, name) for one in (student, teacher))
        if found != expected:
            raise ValueError(
                f"Student and `teacher` must have the same `{name}`, found {found} and "
                f"{expected}: the student is made from its teacher with `gate(teacher)`."
            )
    expected = single_specifications(teacher).duration
    if expected != duration:
        raise ValueError(
            f"`duration` must be the window length of `teacher` "
            f"({expected:g} s), found {duration:g} s."
        )


def check_gates(
    student: WavLMSegmentation,
    target_sparsity: float | None,
    dense: Cost,
    objective: str,
    scope: str,
    learns_decisions: bool,
) -> None:
    """Check that a student has gates if there is a target, which they can reach

    Parameters
    ----------
    student : WavLMSegmentation
    target_sparsity, objective, scope
        See `DistillationPruning`.
    dense : Cost
        Cost of the teacher, in this scope.
    learns_decisions : bool
        Whether the loss has a term besides the distance of hidden states.
    """
    if target_sparsity is None:
        if student.units:
            raise ValueError(
                "`target_sparsity` must be given for a student with gates, found None: prune "
                "it first to distil without pruning."
            )
        return
    if not student.units:
        raise ValueError(
            "The student must have gates, found none: attach them with `gate(model)`, or give "
            "`target_sparsity=None` to distil without pruning."
        )
    check_scope(scope, student.head_units)
    if student.head_units and not learns_decisions:
        raise ValueError(
            "`output_weight` or `task_weight` must be above 0 for a student with gates on "
            f"{', '.join(map(repr, student.head_units))}, found none: hidden states say "
            "nothing about the head."
        )
    check_reachable(in_scope(student, scope), target_sparsity, dense, objective)


def check_weights(**weights: float) -> None:
    """Check the weights of the terms of a loss, of which one at least must be above 0"""
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"`{name}` must be finite and not negative, found {weight!r}.")
    if not any(weights.values()):
        *names, last = (f"`{name}`" for name in weights)
        raise ValueError(
            f"One of {', '.join(names)} and {last} must be above 0, found none: the student would "
            "learn nothing from its teacher."
        )
