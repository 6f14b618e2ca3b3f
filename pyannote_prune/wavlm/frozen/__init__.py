"""WavLM at inference: same numbers, faster

What depends on weights alone is computed once. Nothing here is trained, nor has any gate.
"""

from .encoder import FrozenWavLM

__all__ = ["FrozenWavLM"]
