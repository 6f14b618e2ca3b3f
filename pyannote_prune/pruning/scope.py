"""What sparsity is a fraction of: an encoder, or a whole model"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor

from ..files.messages import did_you_mean
from ..segmentation.cost import expected_model_cost, model_cost, pruned_model_cost
from ..segmentation.gating import settle_model_gates
from ..segmentation.model import WavLMSegmentation
from ..wavlm.cost import Cost, cost, expected_cost
from ..wavlm.encoder import WavLM
from ..wavlm.gating import pruned_config, settle_gates

SCOPES = ("wavlm", "model")

# an encoder stands for itself, a model for all of it
Prunable = TypeVar("Prunable", WavLM, WavLMSegmentation)


def check_scope(scope: str, head_units: Sequence[str] = (), alone: bool = False):
    """Check that a scope exists, and that the gates of a model count in it

    Parameters
    ----------
    scope : {"wavlm", "model"}
    head_units : sequence of str, optional
        Units of the head that have gates. Defaults to none.
    alone : bool, optional
        Whether there is an encoder alone. Defaults to False.

    Raises
    ------
    ValueError
        If there is no such scope, if the head has gates and sparsity is about WavLM alone, or the
        other way round.
    """
    if scope not in SCOPES:
        raise ValueError(
            f"`scope` must be one of {', '.join(map(repr, SCOPES))}, found {scope!r}"
            f"{did_you_mean(scope, SCOPES)}: `target_sparsity` is a fraction of it."
        )
    if alone and scope == "model":
        raise ValueError(
            "`scope` must be 'wavlm' for WavLM alone, found 'model': give the whole "
            "`WavLMSegmentation`."
        )
    if head_units and scope == "wavlm":
        raise ValueError(
            "`scope` must be 'model' for a model with gates on "
            f"{', '.join(map(repr, head_units))}, found 'wavlm': nothing would close gates of the "
            "head."
        )


def in_scope(model: WavLMSegmentation, scope: str) -> WavLM | WavLMSegmentation:
    """Part of a model that its sparsity is about"""
    return model.wavlm if scope == "wavlm" else model


def dense_cost(dense: WavLM | WavLMSegmentation) -> Cost[int]:
    """Compute the cost of an encoder, or of a whole model"""
    return cost(dense) if isinstance(dense, WavLM) else model_cost(dense)


def cost_with_gates(gated: WavLM | WavLMSegmentation) -> Cost[Tensor]:
    """Compute the expected cost of a gated encoder, or of a gated model, differentiably"""
    return expected_cost(gated) if isinstance(gated, WavLM) else expected_model_cost(gated)


def cost_once_pruned(gated: WavLM | WavLMSegmentation) -> Cost[int]:
    """Compute the cost of a gated encoder, or of a gated model, once it is pruned"""
    if isinstance(gated, WavLM):
        return cost(pruned_config(gated))
    return pruned_model_cost(gated)


def copy_gates(gated: WavLM | WavLMSegmentation) -> WavLM | WavLMSegmentation:
    """Copy a gated encoder, or model, so that the gates of the copy can change

    The copy of a model shares its task and its trainer, which cannot be copied.
    """
    if isinstance(gated, WavLM):
        return copy.deepcopy(gated)
    view = copy.copy(gated)
    parts = {"wavlm", "conformer"} & gated._modules.keys()
    view._modules = gated._modules | {n: copy.deepcopy(gated._modules[n]) for n in parts}
    return view


def settle_all(gated: Prunable, is_open: Sequence[Tensor]) -> Prunable:
    """Copy a gated encoder, or model, with some gates at exactly 1, and the others closed

    See `settle_gates`.
    """
    if isinstance(gated, WavLM):
        return settle_gates(gated, is_open)
    return settle_model_gates(gated, is_open)
