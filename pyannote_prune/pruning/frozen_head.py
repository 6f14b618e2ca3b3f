"""Pass gradients through a head that is not trained"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ..segmentation.model import WavLMSegmentation


@contextmanager
def frozen_head(model: WavLMSegmentation) -> Iterator[None]:
    """Freeze everything but WavLM, for as long as the context lasts

    Gradients pass through the head, and reach none of its parameters. It is in evaluation mode: it
    scores as its teacher does, without dropout, and batch normalizations keep their statistics.
    """
    modules = [
        module
        for name, child in model.named_children()
        if name != "wavlm"
        for module in child.modules()
    ]
    parameters = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not name.startswith("wavlm.")
    ]
    modes = [module.training for module in modules]
    dropouts = {module: module.dropout for module in modules if isinstance(module, nn.LSTM)}
    try:
        for module in modules:
            # cuDNN has a backward pass of recurrent layers in training mode alone
            module.training = module.training and module in dropouts
        for lstm in dropouts:
            lstm.dropout = 0.0
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for lstm, dropout in dropouts.items():
            lstm.dropout = dropout
        for parameter in parameters:
            parameter.requires_grad_(True)
