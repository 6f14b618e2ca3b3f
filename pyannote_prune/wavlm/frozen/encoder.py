"""The encoder"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from .extractor import FrozenExtractor, FrozenProjection, PlainExtractor
from .layer import FrozenLayer
from .position import FrozenPosition, FrozenPositionBias

if TYPE_CHECKING:
    from ..encoder import WavLM


class FrozenWavLM:
    """Encoder without gates, in evaluation mode, as a function of waveforms

    Parameters
    ----------
    wavlm : WavLM
        Its `inference_dtype` is that of matrix products.
    """

    def __init__(self, wavlm: WavLM):
        self.origin = fingerprint(wavlm)
        device, dtype = wavlm.norm.weight.device, wavlm.inference_dtype or wavlm.norm.weight.dtype
        on_cpu = device.type == "cpu"
        self.normalize_waveform = wavlm.config.normalize_waveform
        extractor = FrozenExtractor if on_cpu else PlainExtractor
        self.extractor = extractor(wavlm.extractor, wavlm.config, dtype)
        self.projection = FrozenProjection(wavlm.projection, dtype)
        self.position = FrozenPosition(wavlm.position, fourier=on_cpu)
        self.norm = None if wavlm.config.norm_first else wavlm.norm.forward
        self.position_bias = FrozenPositionBias(wavlm.position_bias, dtype)
        self.layers = [FrozenLayer(layer, dtype) for layer in wavlm.layers]

    def is_that_of(self, wavlm: WavLM) -> bool:
        """Whether weights are still the same"""
        return self.origin == fingerprint(wavlm)

    def __call__(self, waveforms: Tensor) -> list[Tensor]:
        if self.normalize_waveform:
            waveforms = F.layer_norm(waveforms, waveforms.shape[-1:])
        hidden = self.projection(self.extractor(waveforms))
        # (batch_size, num_frames, embed_dim)

        hidden = hidden + self.position(hidden)
        if self.norm is not None:
            hidden = self.norm(hidden)
        position_bias = self.position_bias(hidden.shape[1])
        hidden_states = [hidden]
        for layer in self.layers:
            hidden_states.append(layer(hidden_states[-1], position_bias))
        return hidden_states


def fingerprint(wavlm: WavLM) -> tuple[Any, ...]:
    """What changes as soon as weights are loaded, moved, converted, or modified in place"""
    # tensors that were made in inference mode cannot be modified out of it, and have no version
    weights = tuple(
        (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        for weight in wavlm.parameters()
    )
    return wavlm.inference_dtype, weights
