"""The segmentation model of pyannote.audio, and its checkpoints"""

from .checkpoint import load_checkpoint, save_checkpoint
from .model import WavLMSegmentation

__all__ = ["WavLMSegmentation", "load_checkpoint", "save_checkpoint"]
