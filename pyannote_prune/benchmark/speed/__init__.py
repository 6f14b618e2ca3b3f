"""Measure and compare the speed of models"""

from .measure import Measure, matrix_peak, peak_memory, take_turns

__all__ = ["Measure", "matrix_peak", "peak_memory", "take_turns"]
