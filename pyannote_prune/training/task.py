"""Speaker diarization task of pyannote.audio, resumable"""

from __future__ import annotations

from pyannote.audio import tasks

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
    **options
        See `pyannote.audio.tasks.SpeakerDiarization`.
    """
