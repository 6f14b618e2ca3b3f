"""Attach gates to a model; remove what they close"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from ..segmentation.contents import without_task_modules
from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import has_specifications
from ..wavlm.cost import cost
from ..wavlm.encoder import WavLM
from ..wavlm.gating import attach_gates, remove_gates
from .sparsity import meet_target

ModelT = TypeVar("ModelT", WavLM, WavLMSegmentation)


def gate(model: ModelT, units: Collection[str] = ("channel", "head", "neuron")) -> ModelT:
    """Same model, with gates that decide what can be pruned

    Parameters
    ----------
    model : WavLMSegmentation or WavLM
        Left as it was. It may have been pruned already, but must not have gates.
    units : tuple of str, optional
        What gets gates: "channel" (of convolutions), "head" (of attention), "neuron" (of
        feed-forward blocks), "attention" (whole blocks), "feed_forward" (whole blocks).
        Defaults to the first three.

    Returns
    -------
    gated : WavLMSegmentation or WavLM
        To be trained with the `DistillationPruning` task.

    Raises
    ------
    ValueError
        If the model already has gates, if a unit is unknown, or if there is none of it left.
    """
    if isinstance(model, WavLM):
        return attach_gates(model, units)
    return with_encoder(model, attach_gates(model.wavlm, units))


def prune(
    model: ModelT, target_sparsity: float | None = None, objective: str = "parameters"
) -> ModelT:
    """New, smaller model without gates, which computes the same in evaluation mode

    Hidden states, outputs and gradients agree with those of the gated model up to float rounding.
    Each convolution keeps one channel at least. A block that loses all its heads, or all its
    neurons, is gone, bias included.

    Parameters
    ----------
    model : WavLMSegmentation or WavLM
        Left as it was. Must have gates.
    target_sparsity : float, optional
        Fraction of the encoder to remove, in [0, 1): training ends near its target, and
        `meet_target` then chooses the units that stay. Defaults to what gates say.
    objective : {"parameters", "macs"}, optional
        What sparsity counts. Defaults to parameters.

    Returns
    -------
    pruned : WavLMSegmentation or WavLM

    Raises
    ------
    ValueError
        If the model has no gates, or if they cannot meet the target.
    """
    if not isinstance(model, WavLM):
        return with_encoder(model, prune(model.wavlm, target_sparsity, objective))
    if target_sparsity is not None and model.units:
        model = meet_target(model, target_sparsity, cost(model), objective)
    return remove_gates(model)


def with_encoder(model: WavLMSegmentation, wavlm: WavLM) -> WavLMSegmentation:
    """Same head and specifications over another encoder, as a new model"""
    options = {"wavlm": wavlm.config.to_dict(), "units": wavlm.units}
    new = type(model)(**(dict(model.hparams) | options))
    if has_specifications(model):
        new.specifications = model.specifications
        new.setup()
    new.to(model.norm.weight)  # same device, same precision
    head = without_task_modules(model.state_dict())
    head = {key: value for key, value in head.items() if not key.startswith("wavlm.")}
    encoder = {f"wavlm.{key}": value for key, value in wavlm.state_dict().items()}
    new.load_state_dict(head | encoder)
    return new.train(model.training)
