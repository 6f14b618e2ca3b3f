"""The paper's claim, tested on simulated conversations of real voices"""

from .arms import FULL, SMALL, Arm, Scale
from .experiment import Experiment

__all__ = ["FULL", "SMALL", "Arm", "Experiment", "Scale"]
