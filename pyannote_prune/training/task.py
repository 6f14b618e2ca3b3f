"""pyannote.audio's diarization task, resumable"""

from __future__ import annotations

from pyannote.audio import tasks

from .pyannote_repairs import AudioInMemory, NonFiniteLoss, SinglePrecisionLoss, WindowsInside
from .resume import ResumableSamples
from .workers import Workers


class SpeakerDiarization(
    NonFiniteLoss,
    SinglePrecisionLoss,
    AudioInMemory,
    ResumableSamples,
    Workers,
    WindowsInside,
    tasks.SpeakerDiarization,
):
    """pyannote.audio's task, which can be resumed in the middle of an epoch"""

    def setup(self, stage: str | None = None):
        # the first process alone prepares data: pyannote.audio (4.0.7) tells others where they are
        # when they train, but not when they only validate
        if stage == "validate" and self.trainer is not None:
            self.cache = self.trainer.strategy.broadcast(self.cache)
        super().setup(stage)
