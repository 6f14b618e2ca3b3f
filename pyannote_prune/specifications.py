"""Specifications of speaker segmentation models"""

from __future__ import annotations

from pyannote.audio.core.model import Model
from pyannote.audio.core.task import (
    Problem,
    Resolution,
    Specifications,
    UnknownSpecificationsError,
)


def powerset_specifications(
    duration: float, max_speakers_per_chunk: int, max_speakers_per_frame: int
) -> Specifications:
    """Specifications that the `SpeakerDiarization` task gives to a powerset model

    Parameters
    ----------
    duration : float
        Window length, in seconds.
    max_speakers_per_chunk : int
        Number of speakers of a window.
    max_speakers_per_frame : int
        Number of those who speak at once.

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
    """Whether a model knows what it is for"""
    try:
        return model.specifications is not None
    except UnknownSpecificationsError:
        return False
