"""WavLM encoder at inference"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..attention import Attention
from ..config import WavLMConfig
from ..extractor import ChannelNorm, Convolution, FeatureExtractor, FeatureProjection
from ..feed_forward import FeedForward
from ..layer import TransformerLayer
from ..module_list import Modules
from ..norm import OpenLayerNorm
from ..position import (
    NormalizedConvolution,
    PositionalConvolution,
    RelativePositionBias,
    WeightNorm,
)
from .extractor import FrozenExtractor, FrozenProjection
from .layer import FrozenLayer
from .position import FrozenPosition, FrozenPositionBias


class Encoder(Protocol):
    """Attributes of `WavLM`, a class that this module cannot import"""

    config: WavLMConfig
    inference_dtype: torch.dtype | None
    extractor: FeatureExtractor
    projection: FeatureProjection
    position: PositionalConvolution
    position_bias: RelativePositionBias
    norm: nn.LayerNorm
    layers: Modules[TransformerLayer]

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def modules(self) -> Iterator[nn.Module]: ...


# classes of modules in encoders
MODULES = frozenset(
    {
        Attention,
        ChannelNorm,
        Convolution,
        FeatureExtractor,
        FeatureProjection,
        FeedForward,
        NormalizedConvolution,
        OpenLayerNorm,
        PositionalConvolution,
        RelativePositionBias,
        TransformerLayer,
        WeightNorm,
        nn.Conv1d,
        nn.Dropout,
        nn.Embedding,
        nn.GroupNorm,
        nn.Identity,
        nn.LayerNorm,
        nn.Linear,
        nn.ModuleDict,
        nn.ModuleList,
    }
)

# number of values of each weight that are compared, to detect changes through `.data`
NUM_SAMPLES = 4


class FrozenWavLM:
    """Encoder without gates, in evaluation mode, as a function of waveforms

    Parameters
    ----------
    wavlm : WavLM
        Matrix products are in its `inference_dtype`.
    """

    def __init__(self, wavlm: Encoder) -> None:
        self.origin = Fingerprint(wavlm)
        device, dtype = wavlm.norm.weight.device, wavlm.inference_dtype or wavlm.norm.weight.dtype
        self.normalize_waveform = wavlm.config.normalize_waveform
        self.extractor = FrozenExtractor(wavlm.extractor, dtype)
        self.projection = FrozenProjection(wavlm.projection, dtype)
        self.position = FrozenPosition(wavlm.position, fourier=device.type == "cpu")
        self.norm = None if wavlm.config.norm_first else wavlm.norm.forward
        self.position_bias = FrozenPositionBias(wavlm.position_bias, dtype)
        self.layers = [FrozenLayer(layer, dtype) for layer in wavlm.layers]

    def is_that_of(self, wavlm: Encoder) -> bool:
        """Whether weights are still the same"""
        return self.origin.is_that_of(wavlm)

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


class Fingerprint:
    """Fingerprint of weights, to detect changes

    Weights that are loaded, moved, converted or modified in place have other addresses or other
    versions. A change through `.data` keeps both: a few values of each weight are compared.
    """

    def __init__(self, wavlm: Encoder) -> None:
        self.identity = identity(wavlm)
        self.samples = [_sample(weight) for weight in wavlm.parameters()]
        self.values = torch.cat(self.samples)

    def is_that_of(self, wavlm: Encoder) -> bool:
        # samples share memory with weights, unless their addresses have changed
        return self.identity == identity(wavlm) and torch.equal(
            torch.cat(self.samples), self.values
        )


def identity(wavlm: Encoder) -> tuple[Any, ...]:
    """Precision, addresses and versions"""
    # tensors that were made in inference mode have no version
    return wavlm.inference_dtype, [
        (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        for weight in wavlm.parameters()
    ]


def _sample(weight: Tensor) -> Tensor:
    """Some values, evenly spaced, that change when the weight does"""
    values = weight.detach().view(-1)
    return values[:: max(1, len(values) // NUM_SAMPLES)][: NUM_SAMPLES + 1]


def is_plain(wavlm: Encoder) -> bool:
    """Whether all modules of an encoder are unmodified, and in evaluation mode

    Layers that were wrapped, replaced, quantized or hooked have their own forward pass.
    """
    modules = (module for module in wavlm.modules() if module is not wavlm)
    return (
        all(_is_plain_module(module) for module in modules)
        and all(type(p) is nn.Parameter and p.is_contiguous() for p in wavlm.parameters())
        and len({weight.device for weight in wavlm.parameters()}) == 1
    )


def _is_plain_module(module: nn.Module) -> bool:
    return type(module) in MODULES and not (
        module.training
        or module._forward_hooks
        or module._forward_pre_hooks
        or "forward" in module.__dict__
    )
