"""Feed-forward block"""

from __future__ import annotations

from collections.abc import Collection

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig
from .units import NEURON


class FeedForward(nn.Module):
    """Linear layer, GELU with optional gates, linear layer"""

    def __init__(self, config: WavLMConfig, neurons: int, units: Collection[str]) -> None:
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
        # without any neuron, the block outputs 0: its bias is removed as well
        return self.output(hidden * gates) * gates.any()
