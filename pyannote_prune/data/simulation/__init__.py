"""Simulated conversations, from recordings of single speakers

After Landini et al., "From Simulated Mixtures to Simulated Conversations as Training Data for
End-to-End Neural Diarization", Interspeech 2022.
"""

from .protocol import Simulation, simulate
from .turn_statistics import TurnStatistics

__all__ = ["Simulation", "TurnStatistics", "simulate"]
