"""Attach gates to a model, and remove the units that they close"""

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
    """Attach gates to a copy of a model

    Parameters
    ----------
    model : WavLMSegmentation or WavLM
        Not modified. It may have been pruned already, but must not have gates.
    units : tuple of str, optional
        Units that have gates: "channel" (of convolutions), "head" (of attention), "neuron" (of
        feed-forward blocks), "attention" (whole blocks), "feed_forward" (whole blocks).
        Defaults to the first three.

    Returns
    -------
    gated : WavLMSegmentation or WavLM
        Model to train with the `DistillationPruning` task.

    Raises
    ------
    ValueError
        If the model already has gates, if a unit is unknown, or if no such unit is left.
    """
    if isinstance(model, WavLM):
        return attach_gates(model, units)
    return with_encoder(model, attach_gates(model.wavlm, units))


def prune(
    model: ModelT, target_sparsity: float | None = None, objective: str = "parameters"
) -> ModelT:
    """Remove closed units: make a smaller model without gates, with the same outputs in evaluation

    Hidden states, outputs and gradients of both models agree up to float rounding. Each convolution
    keeps at least one channel. A block that loses all its heads, or all its neurons, is removed
    with its biases.

    Parameters
    ----------
    model : WavLMSegmentation or WavLM
        Not modified. Must have gates.
    target_sparsity : float, optional
        Fraction of the encoder to remove, in [0, 1): `meet_target` chooses the units that stay,
        since training ends near its target. Defaults to removing the units whose gates are closed.
    objective : {"parameters", "macs"}, optional
        Cost that sparsity is a fraction of. Defaults to "parameters".

    Returns
    -------
    pruned : WavLMSegmentation or WavLM

    Raises
    ------
    ValueError
        If the model has no gates, or if they cannot meet the target.
    """
    if not isinstance(model, WavLM):
        smaller = with_encoder(model, prune(model.wavlm, target_sparsity, objective))
        smaller.provenance = smaller.provenance.pruned(model.wavlm.config)
        return smaller
    if target_sparsity is not None and model.units:
        model = meet_target(model, target_sparsity, cost(model), objective)
    return remove_gates(model)


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
    options = {"wavlm": wavlm.config.to_dict(), "units": wavlm.units, **learning_rates}
    new = type(model)(**(dict(model.hparams) | options))
    if has_specifications(model):
        new.specifications = model.specifications
        new.setup()
    new.to(next(model.parameters()))  # same device, same precision
    head = without_task_modules(model.state_dict())
    head = {key: value for key, value in head.items() if not key.startswith("wavlm.")}
    encoder = {f"wavlm.{key}": value for key, value in wavlm.state_dict().items()}
    new.load_state_dict(head | encoder)
    new.provenance = model.provenance.trained(None)  # without the scores of `model`
    return new.train(model.training)
