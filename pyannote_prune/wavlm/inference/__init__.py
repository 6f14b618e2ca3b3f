"""WavLM at inference: same results, faster

Values that depend on weights alone are computed once. There are neither gates nor gradients.
"""

from .encoder import FrozenWavLM, is_plain

__all__ = ["FrozenWavLM", "is_plain"]
