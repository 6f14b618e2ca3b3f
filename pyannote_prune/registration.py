"""Registration with pyannote.audio and torch"""

from types import ModuleType

import pyannote.audio.models.segmentation as segmentation_models
import pyannote.audio.tasks as pyannote_tasks
import torch

from .checkpoint import SAFE_CLASSES
from .segmentation import WavLMSegmentation
from .task import DistillationPruning


def register():
    """Make our classes available where pyannote.audio has its own

    `torch.load` also learns that pyannote.audio's specifications are safe, without which Lightning
    refuses to resume from its own checkpoints (`Trainer.fit(model, ckpt_path=...)`).
    """
    _add(segmentation_models, WavLMSegmentation)
    _add(pyannote_tasks, DistillationPruning)
    torch.serialization.add_safe_globals(SAFE_CLASSES)


def _add(module: ModuleType, cls: type):
    setattr(module, cls.__name__, cls)
    if cls.__name__ not in module.__all__:
        module.__all__.append(cls.__name__)
