"""Learn which units to remove, and remove them"""

from .prune import gate, prune
from .task import DistillationPruning

__all__ = ["DistillationPruning", "gate", "prune"]
