"""Feed-forward block"""

from __future__ import annotations

from collections.abc import Collection

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig
from .units import NEURON


class FeedForward(nn.Module):
    """Two linear layers with `neurons` GELUs in between, which may have gates"""

    def __init__(self, config: WavLMConfig, neurons: int, units: Collection[str]):
        super().__init__()
        self.input = nn.Linear(config.embed_dim, neurons)
        self.dropout = nn.Dropout(config.activation_dropout)
        self.output = nn.Linear(neurons, config.embed_dim)
        self.gate = NEURON.gates(neurons, units)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.dropout(F.gelu(self.input(hidden)))
        if self.gate is None:
            return self.output(hidden)
        gates = self.gate()
        # without any neuron, nothing is left of the block, bias included
        return self.output(hidden * gates) * gates.any()
