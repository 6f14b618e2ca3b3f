"""Attach gates to an encoder, and remove closed units

The only place where shapes change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from torch import Tensor

from .config import LayerConfig, WavLMConfig
from .encoder import WavLM
from .gated_weights import fold_values, gated_weights, settle, without_closed_units
from .gates import HardConcrete
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
    check_can_attach(wavlm.units, units)
    gated = WavLM(wavlm.config, units).to(wavlm.norm.weight)
    gated.load_state_dict(gated.state_dict() | wavlm.state_dict())
    return gated.train(wavlm.training)


def check_can_attach(found: Collection[str], units: Collection[str]) -> None:
    """Check that a model has no gates yet, and is to get some

    Parameters
    ----------
    found, units : collection of str
        Units that have gates, and units that are to get gates.

    Raises
    ------
    ValueError
        If this is not so.
    """
    if found:
        raise ValueError(
            f"`model` must not have gates, found some for {', '.join(found)}: prune it first."
        )
    if not units:
        raise ValueError("`units` must not be empty: it says what can be pruned.")


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
    groups = [*gated_weights(wavlm)]
    weights = without_closed_units(fold_values(wavlm, groups), groups)
    pruned = WavLM(pruned_config(wavlm)).to(wavlm.norm.weight)
    # removed blocks have no weights
    pruned.load_state_dict({key: weights[key] for key in pruned.state_dict()})
    return pruned.train(wavlm.training)


def settle_gates(wavlm: WavLM, is_open: Sequence[Tensor]) -> WavLM:
    """Copy a gated encoder, with some gates open, at exactly 1, and the others closed

    Parameters
    ----------
    wavlm : WavLM
        Left as it was.
    is_open : sequence of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates.
    """
    return settle(wavlm, gated_weights(wavlm), is_open)


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
