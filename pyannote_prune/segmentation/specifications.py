"""Specifications of speaker segmentation models"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, fields
from typing import Any

from pyannote.audio.core.model import Model
from pyannote.audio.core.task import (
    Problem,
    Resolution,
    Specifications,
    UnknownSpecificationsError,
)

from ..files.schema import refuse, rule, section

# problems of segmentation models
PROBLEMS = (
    Problem.BINARY_CLASSIFICATION,
    Problem.MONO_LABEL_CLASSIFICATION,
    Problem.MULTI_LABEL_CLASSIFICATION,
)


@dataclass(frozen=True)
class WarmUp:
    """Parts of each window to ignore, in seconds"""

    left: float = rule(0.0, minimum=0)
    right: float = rule(0.0, minimum=0)


@dataclass(frozen=True)
class PlainSpecifications:
    """Specifications in plain numbers and strings"""

    problem: str = rule(choices=tuple(problem.name for problem in PROBLEMS))
    resolution: str = rule(choices=tuple(resolution.name for resolution in Resolution))
    duration: float = rule(above=0)
    classes: tuple[str, ...] = rule()
    min_duration: float | None = rule(None, minimum=0)
    warm_up: WarmUp = WarmUp()
    powerset_max_classes: int | None = rule(None, minimum=1)
    permutation_invariant: bool = False


def powerset_specifications(
    duration: float, max_speakers_per_chunk: int, max_speakers_per_frame: int
) -> Specifications:
    """Make specifications of a powerset model, as the `SpeakerDiarization` task does

    Parameters
    ----------
    duration : float
        Window length, in seconds.
    max_speakers_per_chunk : int
        Number of speakers of a window.
    max_speakers_per_frame : int
        Number of simultaneous speakers.

    Raises
    ------
    ValueError
        If a value is impossible.
    """
    if duration <= 0:
        raise ValueError(f"`duration` must be positive, found {duration}: it is in seconds.")
    if not 1 <= max_speakers_per_frame <= max_speakers_per_chunk:
        raise ValueError(
            "`max_speakers_per_frame` must be between 1 and `max_speakers_per_chunk`, found "
            f"{max_speakers_per_frame} and {max_speakers_per_chunk}."
        )
    return Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=float(duration),
        min_duration=float(duration),
        warm_up=(0.0, 0.0),
        classes=[f"speaker#{i + 1}" for i in range(max_speakers_per_chunk)],
        powerset_max_classes=max_speakers_per_frame,
        permutation_invariant=True,
    )


def has_specifications(model: Model) -> bool:
    """Whether a model has specifications, or a task that gives them"""
    try:
        return model.specifications is not None
    except UnknownSpecificationsError:
        return False


def single_specifications(model: Model) -> Specifications:
    """Specifications of a model of one task

    Raises
    ------
    ValueError
        If the model has several tasks.
    """
    specifications = model.specifications
    if isinstance(specifications, tuple):
        raise ValueError("WavLMSegmentation does not support multi-tasking.")
    return specifications


def class_names(specifications: Specifications) -> list[str]:
    """Names of the classes of a segmentation model

    Raises
    ------
    ValueError
        If there are none, as in specifications of representations.
    """
    if specifications.classes is None:
        refuse("specifications.classes", "a list of names", None)
    return specifications.classes


def with_plain_classes(specifications: Specifications) -> Specifications:
    """Copy specifications, with names of classes in a list of strings

    The `MultiLabelSegmentation` task of pyannote.audio has them in an array of NumPy.
    """
    plain = copy.copy(specifications)
    plain.classes = [str(name) for name in class_names(plain)]
    return plain


def specifications_to_dict(specifications: Specifications) -> dict[str, Any]:
    """Convert to plain numbers, strings, lists and dictionaries

    Raises
    ------
    ValueError
        If no segmentation model can have them: the message names the field.
    """
    if not isinstance(specifications, Specifications):
        refuse("specifications", "`Specifications` of pyannote.audio, for one task", specifications)
    plain = {
        field.name: getattr(specifications, field.name, None)
        for field in fields(PlainSpecifications)
    }
    for name in ("problem", "resolution"):
        plain[name] = getattr(plain[name], "name", plain[name])
    warm_up = plain["warm_up"] or (0.0, 0.0)
    if not isinstance(warm_up, tuple | list) or len(warm_up) != 2:
        refuse("specifications.warm_up", "two durations", warm_up)
    plain["warm_up"] = dict(zip(("left", "right"), warm_up, strict=True))
    return asdict(section(PlainSpecifications, plain, "specifications"))


def specifications_from_dict(plain: Any) -> Specifications:
    """Inverse of `specifications_to_dict`

    Raises
    ------
    ValueError
        If a key is missing or unknown, or if a value is impossible: the message names the key.
    """
    checked = section(PlainSpecifications, plain, "specifications")
    powerset, classes = checked.powerset_max_classes, checked.classes
    if powerset is not None and checked.problem != Problem.MONO_LABEL_CLASSIFICATION.name:
        key = "specifications.powerset_max_classes"
        refuse(key, "null unless `problem` is 'MONO_LABEL_CLASSIFICATION'", powerset)
    if powerset is not None and powerset > len(classes):
        key = "specifications.powerset_max_classes"
        refuse(key, f"at most the number of classes ({len(classes)})", powerset)
    return Specifications(
        problem=Problem[checked.problem],
        resolution=Resolution[checked.resolution],
        duration=checked.duration,
        min_duration=checked.min_duration,
        warm_up=(checked.warm_up.left, checked.warm_up.right),
        classes=list(classes),
        powerset_max_classes=powerset,
        permutation_invariant=checked.permutation_invariant,
    )
