"""Attach gates to a model, and remove closed units, in WavLM and in the head"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from torch import Tensor

from ..wavlm.gates import gates_of
from ..wavlm.gating import attach_gates, check_can_attach, remove_gates, settle_gates
from .conformer import PrunableConformer
from .conformer_gates import attach_conformer_gates, remove_conformer_gates, settle_conformer
from .model import WavLMSegmentation
from .parts import with_parts
from .units import split_units


def attach_model_gates(
    model: WavLMSegmentation, units: Collection[str], **learning_rates: float
) -> WavLMSegmentation:
    """Copy a model, with gates

    Parameters
    ----------
    model : WavLMSegmentation
        Left as it was. Must not have gates.
    units : tuple of str
        Units that get gates: see `gate`.
    **learning_rates : float, optional
        See `with_parts`.

    Raises
    ------
    ValueError
        If the model already has gates, or if there is nothing to attach gates to.
    """
    wavlm_units, head_units = split_units(units)
    check_can_attach(model.units, units)
    model.head.check_units(head_units)
    wavlm = attach_gates(model.wavlm, wavlm_units) if wavlm_units else None
    conformer = None
    if head_units:
        conformer = attach_conformer_gates(model.conformer, model.head.conformer, head_units)
    return with_parts(model, wavlm, conformer, **learning_rates)


def remove_model_gates(model: WavLMSegmentation) -> WavLMSegmentation:
    """Make a smaller model, without gates, that has the same output in evaluation mode

    Parameters
    ----------
    model : WavLMSegmentation
        Left as it was. Must have gates.

    Raises
    ------
    ValueError
        If the model has no gates.
    """
    wavlm = conformer = None
    if model.wavlm.units or not model.head_units:
        # refuses models without gates
        wavlm = remove_gates(model.wavlm)
    if model.head_units:
        conformer = remove_conformer_gates(cast(PrunableConformer, model.conformer))
    smaller = with_parts(model, wavlm, conformer)
    smaller.provenance = smaller.provenance.pruned(model.wavlm.config)
    return smaller


def settle_model_gates(model: WavLMSegmentation, is_open: Sequence[Tensor]) -> WavLMSegmentation:
    """Copy a gated model, with some gates open, at exactly 1, and the others closed

    Parameters
    ----------
    model : WavLMSegmentation
        Left as it was.
    is_open : sequence of (num_gates,) torch.Tensor
        Booleans, in the order in which `gates_of` returns gates: WavLM comes first.
    """
    num_gates = len(gates_of(model.wavlm))
    wavlm, conformer = settle_gates(model.wavlm, is_open[:num_gates]), None
    if model.head_units:
        gated = cast(PrunableConformer, model.conformer)
        conformer = settle_conformer(gated, is_open[num_gates:])
    return with_parts(model, wavlm, conformer)
