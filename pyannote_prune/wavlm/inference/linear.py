"""Linear layers at inference"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class FrozenLinear:
    """Linear layer, whose weight is converted once

    Parameters
    ----------
    weight : (num_outputs, num_inputs) torch.Tensor
    bias : (num_outputs,) torch.Tensor or None
    dtype : torch.dtype
        Type of the product: inputs are converted to it, outputs are not converted back.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)

    @classmethod
    def from_module(cls, linear: nn.Linear, dtype: torch.dtype) -> FrozenLinear:
        return cls(linear.weight, linear.bias, dtype)

    def __call__(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs.to(self.weight.dtype), self.weight, self.bias)
