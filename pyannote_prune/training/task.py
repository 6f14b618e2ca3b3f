"""Speaker diarization task of pyannote.audio, resumable"""

from __future__ import annotations

from pyannote.audio import tasks

from .augmentation import Augmentation
from .pyannote_repairs import (
    AudioInMemory,
    FiguresForLoggers,
    NonFiniteLoss,
    SinglePrecisionSpeakers,
    TrainerWhenValidating,
    WindowsInside,
)
from .resume import ResumableSamples
from .workers import Workers


class ResumableDiarization(
    NonFiniteLoss,
    SinglePrecisionSpeakers,
    TrainerWhenValidating,
    AudioInMemory,
    Augmentation,
    ResumableSamples,
    Workers,
    WindowsInside,
    FiguresForLoggers,
    tasks.SpeakerDiarization,
):
    """Speaker diarization task that can be resumed in the middle of an epoch

    Parameters
    ----------
    in_memory : bool, optional
        Keep decoded audio: 230 MB an hour, in each process that reads it. Defaults to False.
    folder : Path, optional
        Folder of prepared data, which all machines share. Defaults to a temporary file.
    mixing : Mixing, optional
        Mix windows with speakers of other recordings. Defaults to no mixing.
    **options
        See `pyannote.audio.tasks.SpeakerDiarization`.
    """
