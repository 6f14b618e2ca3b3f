"""Diarization with a pruned model"""

from .diarization import SpeakerDiarization

__all__ = ["SpeakerDiarization"]
