"""Attach gates to an encoder, and remove closed units

The only place where shapes change.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import replace

from torch import Tensor

from .config import LayerConfig, WavLMConfig
from .encoder import WavLM
from .gated_weights import gated_weights
from .gates import HardConcrete, gates_of
from .layer import TransformerLayer


def attach_gates(wavlm: WavLM, units: Collection[str]) -> WavLM:
    """Copy an encoder, with gates

    Parameters
    ----------
    wavlm : WavLM
        Left as it was. Must not have gates.
    units : tuple of str
        Units that get gates (see `WavLM`).

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
    """Make a smaller encoder, without gates, that has the same output in evaluation mode

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
    weights = fold_values(wavlm)
    for gated in gated_weights(wavlm):
        for dimension, keys in enumerate((gated.rows, gated.columns)):
            for key in weights.keys() & set(keys):
                weights[key] = weights[key].index_select(dimension, gated.indices())
    pruned = WavLM(pruned_config(wavlm)).to(wavlm.norm.weight)
    # removed blocks have no weights
    pruned.load_state_dict({key: weights[key] for key in pruned.state_dict()})
    return pruned.train(wavlm.training)


def settle_gates(wavlm: WavLM, is_open: Sequence[Tensor]) -> WavLM:
    """Copy a gated encoder, with some gates open, at exactly 1, and the others closed

    Former values of gates are folded into the next weights, also for gates that are now closed:
    the choice of gates does not change the weights of units that are kept.

    Parameters
    ----------
    wavlm : WavLM
        Left as it was. Must have gates.
    is_open : sequence of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates.
    """
    settled = copy.deepcopy(wavlm)
    settled.load_state_dict(wavlm.state_dict() | fold_values(wavlm))
    for gates, mask in zip(gates_of(settled), is_open, strict=True):
        gates.settle(mask)
    return settled


def pruned_config(wavlm: WavLM) -> WavLMConfig:
    """Structure of the encoder that `remove_gates` returns"""
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
    # indices in the dense encoder, also after several prunings
    return tuple(shape.heads[i] for i in layer.attention.gate.kept().tolist())


def _kept_neurons(layer: TransformerLayer, shape: LayerConfig) -> int:
    if layer.feed_forward is None or _is_closed(layer.feed_forward_gate):
        return 0
    gate = layer.feed_forward.gate
    return shape.neurons if gate is None else len(gate.kept())


def _is_closed(gate: HardConcrete | None) -> bool:
    return gate is not None and len(gate.kept()) == 0


def fold_values(wavlm: WavLM) -> dict[str, Tensor]:
    """Weights of a gated encoder, gates excluded, times the values of the gates before them

    Returns
    -------
    weights : dict of torch.Tensor
        Of the same shapes. An encoder with these weights, and gates at 1, computes the same.
    """
    weights = {k: v.detach() for k, v in wavlm.state_dict().items() if not k.endswith("log_alpha")}
    for gated in gated_weights(wavlm):
        for key, dimension in gated.folded:
            weights[key] = weights[key] * gated.factors(weights[key].ndim, dimension)
    return weights
