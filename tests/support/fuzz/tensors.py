"""State dicts, spoilt at random places"""

import warnings
from typing import Any

import torch
from fuzz.mutations import junk, texts
from hypothesis import strategies as st
from torch import Tensor

DTYPES = [
    *(torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn),
    *(torch.int64, torch.int8, torch.uint8, torch.bool, torch.complex64),
]


def sparse(tensor: Tensor) -> Tensor:
    return tensor.float().to_sparse()


def compressed(tensor: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tensor.float().reshape(1, -1).to_sparse_csr()


def quantized(tensor: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)


def with_value(value: float):
    def spoil(tensor: Tensor) -> Tensor:
        tensor = tensor.float().clone()
        tensor.view(-1)[-1:] = value
        return tensor

    return spoil


def flipped(tensor: Tensor) -> Tensor:
    """Same elements, dimensions in the other order"""
    return tensor.permute(tuple(reversed(range(tensor.ndim))))


ALTERATIONS = {
    **{function.__name__: function for function in (sparse, compressed, quantized, flipped)},
    **{str(dtype): lambda tensor, dtype=dtype: tensor.to(dtype) for dtype in DTYPES},
    **{str(value): with_value(value) for value in (torch.nan, torch.inf, -torch.inf)},
    "flattened": Tensor.flatten,
    "deeper": torch.atleast_3d,
    "parameter": lambda tensor: torch.nn.Parameter(tensor.float()),
    "meta": lambda tensor: tensor.to("meta"),
    "empty": lambda tensor: tensor.reshape(-1)[:0],
    "first": lambda tensor: tensor[:1] if tensor.ndim else tensor[None],
    "number": lambda tensor: tensor.reshape(-1)[0],
    "twice": lambda tensor: torch.cat([tensor.reshape(-1)] * 2),
    # a few bytes in the file
    "huge": lambda tensor: tensor.reshape(-1)[:1].expand(10**6, 10**6),
    "long": lambda tensor: tensor.reshape(-1)[:1].expand(10**12),
    "same": lambda tensor: tensor.reshape(-1)[0].expand(tensor.shape),
    "numbers": lambda tensor: tensor.tolist(),
    "dictionary": lambda tensor: {"weight": tensor},
    "list": lambda tensor: [tensor],
}
OTHERS = ["replace", "delete", "rename", "add"]


class Content(dict):
    """Content of a file, with a short `repr` for failures of tests"""

    def __repr__(self) -> str:
        return f"{len(self)} entries"


# place of a tensor, alteration, and a new value for the alterations that need one
cases = st.tuples(
    st.integers(0, 300), st.sampled_from([*ALTERATIONS, *OTHERS]), junk | texts | st.integers()
)


def altered(weights: dict[str, Tensor], case: tuple) -> tuple[dict[str, Any], str]:
    """Same state dict with one thing spoilt, and its name"""
    (place, how, new), weights = case, dict(weights)
    key = list(weights)[place % len(weights)]
    if how in ALTERATIONS:
        weights[key] = ALTERATIONS[how](weights[key])
    elif how == "replace":
        weights[key] = new
    elif how == "delete":
        del weights[key]
    else:
        tensor = weights.pop(key) if how == "rename" else weights[key]
        weights[new if isinstance(new, str | int) else str(new)] = tensor
    return weights, key
