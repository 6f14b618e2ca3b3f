"""Diarization with a pruned model"""

from .diarization import DiarizationPipeline

# name in `config.yaml` of exported folders, and that of the class of pyannote.audio it extends
SpeakerDiarization = DiarizationPipeline

__all__ = ["DiarizationPipeline", "SpeakerDiarization"]
