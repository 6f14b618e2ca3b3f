"""Diarization with a pruned model"""

from .diarization import DiarizationPipeline
from .pyannote_repairs import NoPLDA

# name in `config.yaml` of exported folders
SpeakerDiarization = DiarizationPipeline

__all__ = ["DiarizationPipeline", "NoPLDA", "SpeakerDiarization"]
