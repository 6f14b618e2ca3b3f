"""Load weights strictly"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from ..files.messages import printable


def is_state_dict(content: Any) -> bool:
    """Whether `content`, read from a file, is made of names and plain tensors"""
    return isinstance(content, Mapping) and all(
        isinstance(name, str) and _is_plain(tensor) for name, tensor in content.items()
    )


def _is_plain(tensor: Any) -> bool:
    """Whether this is a dense tensor whose elements all have their own memory"""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
        return False
    if tensor.is_meta or tensor.is_quantized or tensor.is_nested:
        return False
    # a few bytes can otherwise stand for more elements than memory can hold
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def check_keys(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    """Compare two state dicts, and refuse weights that are not finite

    Parameters
    ----------
    expected, found : dict of torch.Tensor
        State dicts of the network and of the file.
    source : str
        Name of the file, for the message.

    Raises
    ------
    ValueError
        If they differ, or if weights are not finite: the message lists missing, unexpected,
        misshapen and other keys that are wrong.
    """
    if not is_state_dict(found):
        raise ValueError(f"The state dict of {source} must be made of names and plain tensors.")
    differences = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "misshapen": [
            f"{key} (expected {tuple(expected[key].shape)}, found {tuple(found[key].shape)})"
            for key in expected
            if key in found and expected[key].shape != found[key].shape
        ],
        "of another kind": [
            f"{key} (expected {expected[key].dtype}, found {found[key].dtype})"
            for key in expected
            if key in found and _kind(expected[key]) != _kind(found[key])
        ],
        # models would output NaN without any error
        "not finite": [key for key in found if not found[key].float().isfinite().all()],
    }
    refuse_differences(differences, source)


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    """Kind of numbers: loading may round weights, but not drop fractions or imaginary parts"""
    return tensor.is_floating_point(), tensor.is_complex()


def refuse_differences(differences: Mapping[str, Sequence[str]], source: str) -> None:
    """Raise an error that lists `differences` by kind, if there is any"""
    lines = [
        f"{len(keys)} {kind}: {_enumerate(keys)}" for kind, keys in differences.items() if keys
    ]
    if lines:
        raise ValueError(
            f"Weights of {source} do not fit this network: nothing was loaded. "
            "Check that they come from the right model.\n" + "\n".join(lines)
        )


def load_exactly(module: nn.Module, state_dict: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict, which must have the keys and shapes of `module`"""
    check_keys(module.state_dict(), state_dict, source)
    module.load_state_dict(state_dict)


def _enumerate(keys: Sequence[str], limit: int = 20) -> str:
    more = f", and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(map(printable, keys[:limit])) + more
