"""WavLM encoder"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig
from .extractor import FeatureExtractor, FeatureProjection
from .geometry import frames_per_convolution, receptive_field_size
from .inference import FrozenWavLM, is_plain
from .layer import TransformerLayer
from .module_list import module_list
from .position import PositionalConvolution, RelativePositionBias
from .units import check_units
from .waveforms import check_samples


class WavLM(nn.Module):
    """WavLM encoder, dense or pruned

    Parameters
    ----------
    config : WavLMConfig
        Structure. Weights are random: see `pyannote_prune.wavlm.huggingface.load_huggingface`
        for pretrained ones.
    units : tuple of str, optional
        Units that have gates: "channel", "head", "neuron", "attention" (whole blocks),
        "feed_forward" (whole blocks). Defaults to none.

    Attributes
    ----------
    inference_dtype : torch.dtype or None
        Precision of matrix products in evaluation mode without gradients. `torch.bfloat16` is
        faster, and changes results slightly. Not saved. Defaults to None: the precision of weights.

    Shape
    -----
    waveforms : (batch_size, num_samples) torch.Tensor
        Mono, 16 kHz, at least 400 samples (25 ms).
    hidden_states : list of (batch_size, num_frames, embed_dim) torch.Tensor
        Input of the first layer, then output of each layer, at 50 frames per second. The last one
        of a pre-norm encoder (Large) is not normalized, unlike in `transformers`.

    Raises
    ------
    ValueError
        If a unit is unknown, or not in the encoder, if waveforms have another shape, or if they are
        shorter than the receptive field.

    Examples
    --------
    >>> wavlm = WavLM(WavLMConfig.preset("base-s80-md"))
    >>> len(wavlm(torch.randn(2, 16000)))
    13
    >>> wavlm(torch.randn(2, 16000))[-1].shape
    torch.Size([2, 49, 768])
    """

    def __init__(self, config: WavLMConfig, units: Collection[str] = ()) -> None:
        super().__init__()
        check_units(units, config)
        self.config = config
        self.units = tuple(units)
        self.layer_drop = config.layer_drop
        self.inference_dtype: torch.dtype | None = None
        self._frozen: FrozenWavLM | None = None
        self.extractor = FeatureExtractor(config, units)
        self.projection = FeatureProjection(config)
        self.position = PositionalConvolution(config)
        self.position_bias = RelativePositionBias(config)
        self.norm = nn.LayerNorm(config.embed_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = module_list(TransformerLayer(config, shape, units) for shape in config.layers)

        # pre-norm encoders have this layer, but their hidden states do not go through it
        self.norm.requires_grad_(not config.norm_first)
        # the position bias has no use without attention
        self.position_bias.requires_grad_(any(shape.heads for shape in config.layers))

    def num_frames(self, num_samples: int) -> int:
        """Compute the number of frames of so many samples, 0 if there are too few of them"""
        return frames_per_convolution(self.config.convolutions, num_samples)[-1]

    def forward(
        self,
        waveforms: Tensor,
        layer_drop: float | None = None,
        extractor_gradient: float = 1.0,
    ) -> list[Tensor]:
        """

        Parameters
        ----------
        waveforms : (batch_size, num_samples) torch.Tensor
        layer_drop : float, optional
            Probability of skipping a layer in training mode, for this pass. Defaults to
            the attribute `layer_drop`.
        extractor_gradient : float, optional
            Factor of the gradient that reaches convolutions, in this pass. Defaults to 1.

        Returns
        -------
        hidden_states : list of (batch_size, num_frames, embed_dim) torch.Tensor
        """
        self._check(waveforms)
        waveforms = waveforms.to(self.norm.weight.dtype)
        if self._can_freeze():
            return self._freeze()(waveforms)
        if self.config.normalize_waveform:
            waveforms = F.layer_norm(waveforms, waveforms.shape[-1:])
        features, gates = self.extractor(waveforms)
        if extractor_gradient != 1.0 and features.requires_grad:
            features.register_hook(lambda gradient: extractor_gradient * gradient)
        hidden = self.projection(features, gates)
        # hidden: (batch_size, num_frames, embed_dim)

        hidden = hidden + self.position(hidden)
        if not self.config.norm_first:
            hidden = self.norm(hidden)
        hidden = self.dropout(hidden)

        position_bias = self.position_bias(hidden.shape[1])
        hidden_states = [hidden]
        for layer in self.layers:
            hidden = self._maybe_skip(hidden, layer(hidden, position_bias), layer_drop)
            hidden_states.append(hidden)
        return hidden_states

    def train(self, mode: bool = True) -> WavLM:
        """Set training (or evaluation) mode, and clear the cache: see `refresh`"""
        self.refresh()
        return super().train(mode)

    def refresh(self) -> None:
        """Clear the cache of values computed from weights for inference

        New weights are detected, unless only a few values of them were changed through `.data`:
        call this method then, or set evaluation mode again.
        """
        self._frozen = None

    def in_precision(self, dtype: torch.dtype | None) -> WavLM:
        """Make a view of this encoder, with the same weights and another `inference_dtype`"""
        view = copy.copy(self)
        view.inference_dtype = dtype
        return view

    def __getstate__(self) -> dict[str, Any]:
        # copies make their own, if they need it
        return self.__dict__ | {"_frozen": None}

    def _can_freeze(self) -> bool:
        weight = self.norm.weight
        return (
            type(self) is WavLM
            and not self.training
            and not self.units
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled(weight.device.type)
            and not torch.compiler.is_compiling()
            and weight.dtype in (torch.float32, torch.float64)
            and not (self._forward_hooks or self._forward_pre_hooks)
            and is_plain(self)
        )

    def _freeze(self) -> FrozenWavLM:
        """Get the encoder for inference, which is made again if weights have changed"""
        # read once, and replaced atomically: other threads may use the same encoder
        frozen = self._frozen
        if frozen is None or not frozen.is_that_of(self):
            frozen = self._frozen = FrozenWavLM(self)
        return frozen

    def _maybe_skip(self, before: Tensor, after: Tensor, layer_drop: float | None) -> Tensor:
        """Layer drop

        The layer is computed even when it is skipped: all parameters then have a gradient, as
        distributed training requires, and the choice needs no synchronization with the device.
        """
        layer_drop = self.layer_drop if layer_drop is None else layer_drop
        if not self.training or layer_drop == 0.0:
            return after
        skip = torch.rand((), device=after.device) < layer_drop
        return torch.where(skip, before, after)

    def _check(self, waveforms: Tensor) -> None:
        check_samples(waveforms)
        if waveforms.ndim != 2:
            raise ValueError(
                "`waveforms` must have shape (batch_size, num_samples), "
                f"found {tuple(waveforms.shape)}."
            )
        if self.num_frames(waveforms.shape[1]) == 0:
            raise ValueError(
                f"`waveforms` must have at least {receptive_field_size(self.config.convolutions)} "
                f"samples (25 ms at 16 kHz), found {waveforms.shape[1]}: pad them with zeros."
            )
