"""Learn which units to remove, and remove them"""

from .prune import gate, prune
from .task import DistillationPruning
from .teacher import DiarizationWithTeacher

__all__ = ["DiarizationWithTeacher", "DistillationPruning", "gate", "prune"]
