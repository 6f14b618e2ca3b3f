"""Prunable WavLM segmentation models for pyannote.audio"""

# isort: off
from .default_databases import import_database

import_database()  # before anything imports pyannote.audio
# isort: on

from .checkpoint import save_checkpoint
from .diarizen import load_diarizen
from .export import export_pipeline
from .gates import HardConcrete
from .pruning import gate, prune
from .registration import register
from .segmentation import WavLMSegmentation
from .settings import DiarizationSettings
from .task import DistillationPruning
from .version import __version__
from .wavlm import WavLM, WavLMConfig
from .wavlm.cost import Cost, cost

__all__ = [
    "Cost",
    "DiarizationSettings",
    "DistillationPruning",
    "HardConcrete",
    "WavLM",
    "WavLMConfig",
    "WavLMSegmentation",
    "__version__",
    "cost",
    "export_pipeline",
    "gate",
    "load_diarizen",
    "prune",
    "save_checkpoint",
]

register()
