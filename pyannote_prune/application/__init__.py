"""Diarization of many recordings: goes on after a stop, and after recordings that cannot be read"""

from .apply import Applied, apply_pipeline
from .pretrained import claim_results, load_pipeline
from .recordings import left_out, recordings_of_paths, recordings_of_protocol

__all__ = [
    "Applied",
    "apply_pipeline",
    "claim_results",
    "left_out",
    "load_pipeline",
    "recordings_of_paths",
    "recordings_of_protocol",
]
