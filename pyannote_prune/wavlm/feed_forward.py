"""Feed-forward block"""

from __future__ import annotations

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .config import WavLMConfig


class FeedForward(nn.Module):
    """Two linear layers with `neurons` GELUs in between"""

    def __init__(self, config: WavLMConfig, neurons: int):
        super().__init__()
        self.input = nn.Linear(config.embed_dim, neurons)
        self.dropout = nn.Dropout(config.activation_dropout)
        self.output = nn.Linear(neurons, config.embed_dim)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.output(self.dropout(F.gelu(self.input(hidden))))
