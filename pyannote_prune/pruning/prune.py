"""Attach gates to a model, and remove the units that they close"""

from __future__ import annotations

from collections.abc import Collection

from ..segmentation.gating import attach_model_gates, remove_model_gates
from ..segmentation.model import WavLMSegmentation
from ..segmentation.parts import with_parts
from ..segmentation.units import refuse_head_units
from ..wavlm.cost import Cost, cost
from ..wavlm.encoder import WavLM
from ..wavlm.gating import attach_gates, remove_gates
from .scope import Prunable, check_scope, dense_cost, in_scope
from .sparsity import meet_target


def gate(model: Prunable, units: Collection[str] = ("channel", "head", "neuron")) -> Prunable:
    """Attach gates to a copy of a model

    Parameters
    ----------
    model : WavLMSegmentation or WavLM
        Not modified. It may have been pruned already, but must not have gates.
    units : tuple of str, optional
        Units that have gates: "channel" (of convolutions), "head" (of attention), "neuron" (of
        feed-forward blocks), "attention" (whole blocks), "feed_forward" (whole blocks), all of
        WavLM; and those of a Conformer in the head: "conformer_neuron" (of feed-forward blocks),
        "conformer_head" (of attention), "conformer_channel" (of convolution modules).
        Defaults to the first three.

    Returns
    -------
    gated : WavLMSegmentation or WavLM
        Model to train with the `DistillationPruning` task.

    Raises
    ------
    ValueError
        If the model already has gates, if a unit is unknown, if no such unit is left, or if units
        of the head are asked for where there is no Conformer.
    """
    if isinstance(model, WavLM):
        refuse_head_units(units)
        return attach_gates(model, units)
    return attach_model_gates(model, units)


def prune(
    model: Prunable,
    target_sparsity: float | None = None,
    objective: str = "parameters",
    scope: str = "wavlm",
) -> Prunable:
    """Remove closed units: make a smaller model without gates, with the same outputs in evaluation

    Hidden states, outputs and gradients of both models agree up to float rounding. Each convolution
    of WavLM keeps at least one channel. A block that loses all its heads, or all its neurons (of a
    Conformer, also all its channels), is removed with its biases; its residual connection stays.

    Parameters
    ----------
    model : WavLMSegmentation or WavLM
        Not modified. Must have gates.
    target_sparsity : float, optional
        Fraction of WavLM, or of the model, to remove, in [0, 1): `meet_target` chooses the units
        that stay, since training ends near its target. Defaults to removing the units whose gates
        are closed.
    objective : {"parameters", "macs"}, optional
        Cost that sparsity is a fraction of. Defaults to "parameters".
    scope : {"wavlm", "model"}, optional
        Whether the target is about WavLM alone (the default), or about the whole model, which must
        then be a `WavLMSegmentation`. Gates on the head need the latter.

    Returns
    -------
    pruned : WavLMSegmentation or WavLM

    Raises
    ------
    ValueError
        If the model has no gates, or if they cannot meet the target.
    """
    if isinstance(model, WavLM):
        check_scope(scope, alone=True)
        if target_sparsity is not None and model.units:
            model = meet_target(model, target_sparsity, cost(model), objective)
        return remove_gates(model)
    if target_sparsity is not None and model.units:
        check_scope(scope, model.head_units)
        dense = dense_cost(in_scope(model, scope))
        return prune_to(model, target_sparsity, dense, objective, scope)
    return remove_model_gates(model)


def prune_to(
    model: WavLMSegmentation,
    target_sparsity: float,
    dense: Cost[int],
    objective: str = "parameters",
    scope: str = "wavlm",
) -> WavLMSegmentation:
    """Choose the units that stay, to meet a target, and remove the others

    Parameters
    ----------
    model : WavLMSegmentation
        Not modified. Must have gates.
    target_sparsity, objective, scope
        See `prune`.
    dense : Cost
        Cost of what `target_sparsity` is a fraction of: that of a model before several prunings,
        for instance.
    """
    if scope == "model":
        met = meet_target(model, target_sparsity, dense, objective)
    else:
        met = with_parts(model, meet_target(model.wavlm, target_sparsity, dense, objective))
    return remove_model_gates(met)


def with_encoder(
    model: WavLMSegmentation, wavlm: WavLM, **learning_rates: float
) -> WavLMSegmentation:
    """Make a model with another encoder, and the head and specifications of a first model

    Parameters
    ----------
    model : WavLMSegmentation
        Not modified.
    wavlm : WavLM
        Encoder, whose weights are copied.
    **learning_rates : float, optional
        `learning_rate` and `wavlm_learning_rate` of the new model. Default to the rates of `model`.
    """
    return with_parts(model, wavlm, **learning_rates)
