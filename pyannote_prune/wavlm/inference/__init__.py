"""WavLM at inference: same numbers, faster

What depends on weights alone is computed once. Nothing here is trained, nor has any gate.
"""

from .encoder import FrozenWavLM, is_plain

__all__ = ["FrozenWavLM", "is_plain"]
