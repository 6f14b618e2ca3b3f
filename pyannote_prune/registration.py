"""Registration with pyannote.audio and torch"""

from types import ModuleType

import pyannote.audio.models.segmentation as segmentation_models
import torch

from .checkpoint import SAFE_CLASSES
from .segmentation import WavLMSegmentation


def register():
    """Make our classes available where pyannote.audio has its own

    `torch.load` also learns that pyannote.audio's specifications are safe, without which Lightning
    refuses to resume from its own checkpoints (`Trainer.fit(model, ckpt_path=...)`).
    """
    _add(segmentation_models, WavLMSegmentation)
    torch.serialization.add_safe_globals(SAFE_CLASSES)


def _add(module: ModuleType, cls: type):
    setattr(module, cls.__name__, cls)
    if cls.__name__ not in module.__all__:
        module.__all__.append(cls.__name__)
