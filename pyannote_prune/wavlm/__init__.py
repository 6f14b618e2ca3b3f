"""WavLM encoder, dense or pruned (nothing here imports pyannote)"""

from .config import ConvolutionConfig, LayerConfig, WavLMConfig
from .encoder import WavLM

__all__ = ["ConvolutionConfig", "LayerConfig", "WavLM", "WavLMConfig"]
