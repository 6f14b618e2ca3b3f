"""Linear layers at inference"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class FrozenLinear:
    """Linear layer with its weight packed for oneDNN

    Parameters
    ----------
    weight : (num_outputs, num_inputs) torch.Tensor
    bias : (num_outputs,) torch.Tensor or None
    dtype : torch.dtype
        Type of the product: inputs are converted to it, outputs are not converted back.
    gelu : bool, optional
        Whether GELU comes next. Defaults to False.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, gelu: bool = False
    ) -> None:
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.dtype, self.gelu = dtype, gelu
        self.is_packed = can_pack(self.weight)
        if self.is_packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous())

    @classmethod
    def from_module(cls, linear: nn.Linear, dtype: torch.dtype, gelu: bool = False) -> FrozenLinear:
        return cls(linear.weight, linear.bias, dtype, gelu)

    def __call__(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.dtype)
        if self.is_packed:
            # the second "none": GELU is not approximated
            options: tuple[Any, ...] = ("gelu", [], "none") if self.gelu else ("none", [], "")
            return torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, *options)
        outputs = F.linear(inputs, self.weight, self.bias)
        return torch.ops.aten.gelu_(outputs) if self.gelu else outputs


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN can pack this weight

    The compiler of torch packs frozen weights with private operators, and there is no public
    function for it. In versions of torch without these operators, weights are not packed.
    """
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    if weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32
