"""Registration with pyannote.audio"""

from types import ModuleType

import pyannote.audio.models.segmentation as segmentation_models

from .segmentation import WavLMSegmentation


def register():
    """Make our classes available where pyannote.audio has its own"""
    _add(segmentation_models, WavLMSegmentation)


def _add(module: ModuleType, cls: type):
    setattr(module, cls.__name__, cls)
    if cls.__name__ not in module.__all__:
        module.__all__.append(cls.__name__)
