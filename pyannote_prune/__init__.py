"""Prunable WavLM segmentation models for pyannote.audio"""

from .checkpoint import save_checkpoint
from .cost import Cost, cost
from .diarizen import load_diarizen
from .export import export_pipeline
from .registration import register
from .segmentation import WavLMSegmentation
from .settings import DiarizationSettings
from .version import __version__
from .wavlm import WavLM, WavLMConfig

__all__ = [
    "Cost",
    "DiarizationSettings",
    "WavLM",
    "WavLMConfig",
    "WavLMSegmentation",
    "__version__",
    "cost",
    "export_pipeline",
    "load_diarizen",
    "save_checkpoint",
]

register()
