"""Diarization with a pruned model"""

from .diarization import DiarizationPipeline

# name in `config.yaml` of exported folders
SpeakerDiarization = DiarizationPipeline

__all__ = ["DiarizationPipeline", "SpeakerDiarization"]
