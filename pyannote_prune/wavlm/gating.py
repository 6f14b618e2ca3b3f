"""Attaching gates to an encoder, and removing what they close

The only place where shapes change.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from ..gates import HardConcrete
from .config import LayerConfig, WavLMConfig
from .encoder import WavLM
from .layer import TransformerLayer


def attach_gates(wavlm: WavLM, units: Collection[str]) -> WavLM:
    """Same encoder, with gates

    Parameters
    ----------
    wavlm : WavLM
        Left as it was. Must not have gates.
    units : tuple of str
        What gets gates (see `WavLM`).

    Raises
    ------
    ValueError
        If the encoder already has gates, or if there is nothing to attach gates to.
    """
    if wavlm.units:
        raise ValueError(
            f"`model` must not have gates, found some for {', '.join(wavlm.units)}: prune it first."
        )
    if not units:
        raise ValueError("`units` must not be empty: it says what can be pruned.")
    gated = WavLM(wavlm.config, units).to(wavlm.norm.weight)
    gated.load_state_dict(gated.state_dict() | wavlm.state_dict())
    return gated.train(wavlm.training)


def remove_gates(wavlm: WavLM) -> WavLM:
    """Smaller encoder, without gates, that computes the same in evaluation mode

    Values of gates that are left are folded into the weights that come next.

    Parameters
    ----------
    wavlm : WavLM
        Left as it was. Must have gates.

    Raises
    ------
    ValueError
        If the encoder has no gates.
    """
    if not wavlm.units:
        raise ValueError("`model` must have gates, found none: attach them with `gate` first.")
    weights = {k: v.detach() for k, v in wavlm.state_dict().items() if not k.endswith("log_alpha")}
    if "channel" in wavlm.units:
        _fold_channels(wavlm, weights)
    pruned = WavLM(pruned_config(wavlm)).to(wavlm.norm.weight)
    for index, layer in enumerate(wavlm.layers):
        _fold_heads(layer, f"layers.{index}.attention", weights)
        _fold_neurons(layer, f"layers.{index}.feed_forward", weights)
    # blocks that are gone have no weights any more
    pruned.load_state_dict({key: weights[key] for key in pruned.state_dict()})
    return pruned.train(wavlm.training)


def pruned_config(wavlm: WavLM) -> WavLMConfig:
    """Structure of what `remove_gates` returns"""
    convolutions = [
        shape if convolution.gate is None else replace(shape, channels=len(convolution.gate.kept()))
        for shape, convolution in zip(
            wavlm.config.convolutions, wavlm.extractor.convolutions, strict=True
        )
    ]
    layers = [
        LayerConfig(_kept_heads(layer, shape), _kept_neurons(layer, shape))
        for shape, layer in zip(wavlm.config.layers, wavlm.layers, strict=True)
    ]
    return replace(wavlm.config, convolutions=tuple(convolutions), layers=tuple(layers))


def _kept_heads(layer: TransformerLayer, shape: LayerConfig) -> tuple[int, ...]:
    if layer.attention is None or _is_closed(layer.attention_gate):
        return ()
    if layer.attention.gate is None:
        return shape.heads
    # indices are those of the dense encoder, however often it is pruned
    return tuple(shape.heads[i] for i in layer.attention.gate.kept().tolist())


def _kept_neurons(layer: TransformerLayer, shape: LayerConfig) -> int:
    if layer.feed_forward is None or _is_closed(layer.feed_forward_gate):
        return 0
    gate = layer.feed_forward.gate
    return shape.neurons if gate is None else len(gate.kept())


def _is_closed(gate: HardConcrete | None) -> bool:
    return gate is not None and len(gate.kept()) == 0


def _fold_channels(wavlm: WavLM, weights: dict[str, Tensor]):
    convolutions = wavlm.extractor.convolutions
    for index, convolution in enumerate(convolutions):
        kept, values = convolution.gate.kept(), convolution.gate.values().detach()
        name = f"extractor.convolutions.{index}"
        for key in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"):
            _select(weights, f"{name}.{key}", kept)
        if index + 1 < len(convolutions):
            key = f"extractor.convolutions.{index + 1}.conv.weight"
            weights[key] = weights[key][:, kept] * values[:, None]
        else:
            # the normalization that comes next does not let values through: `scale` keeps them
            weights["extractor.scale"] = weights["extractor.scale"][kept] * values
            _select(weights, "projection.norm.weight", kept)
            _select(weights, "projection.norm.bias", kept)
            _select(weights, "projection.linear.weight", kept, dim=1)


def _fold_heads(layer: TransformerLayer, name: str, weights: dict[str, Tensor]):
    if layer.attention is None:
        return
    if layer.attention.gate is not None:
        kept, values = layer.attention.gate.kept(), layer.attention.gate.values().detach()
        head_dim = layer.attention.head_dim
        rows = (kept[:, None] * head_dim + torch.arange(head_dim, device=kept.device)).flatten()
        for projection in ("query", "key", "value"):
            _select(weights, f"{name}.{projection}.weight", rows)
            _select(weights, f"{name}.{projection}.bias", rows)
        _select(weights, f"{name}.output.weight", rows, dim=1)
        weights[f"{name}.output.weight"] *= values.repeat_interleave(head_dim)
    _fold_block(layer.attention_gate, f"{name}.output", weights)


def _fold_neurons(layer: TransformerLayer, name: str, weights: dict[str, Tensor]):
    if layer.feed_forward is None:
        return
    if layer.feed_forward.gate is not None:
        gate = layer.feed_forward.gate
        kept, values = gate.kept(), gate.values().detach()
        _select(weights, f"{name}.input.weight", kept)
        _select(weights, f"{name}.input.bias", kept)
        _select(weights, f"{name}.output.weight", kept, dim=1)
        weights[f"{name}.output.weight"] *= values
    _fold_block(layer.feed_forward_gate, f"{name}.output", weights)


def _fold_block(gate: HardConcrete | None, name: str, weights: dict[str, Tensor]):
    if gate is not None and not _is_closed(gate):
        for leaf in ("weight", "bias"):
            weights[f"{name}.{leaf}"] = weights[f"{name}.{leaf}"] * gate.values().detach()


def _select(weights: dict[str, Tensor], key: str, kept: Tensor, dim: int = 0):
    if key in weights:
        weights[key] = weights[key].index_select(dim, kept)
