"""Test the claim of the paper on simulated conversations of real voices"""

from .arms import FULL, SMALL, Arm, Scale
from .diarization import WholeDiarization
from .experiment import Experiment

__all__ = ["FULL", "SMALL", "Arm", "Experiment", "Scale", "WholeDiarization"]
