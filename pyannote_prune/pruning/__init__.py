"""Learn what to remove, and remove it"""

from .prune import gate, prune
from .task import DistillationPruning

__all__ = ["DistillationPruning", "gate", "prune"]
