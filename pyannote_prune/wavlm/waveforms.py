"""Check the type of samples"""

from __future__ import annotations

from typing import Any

from torch import Tensor

# divisors of integer samples, by type
LARGEST = {"int16": 2**15, "int32": 2**31}


def check_samples(samples: Any, name: str = "waveforms") -> None:
    """Check that samples are floating-point numbers in a tensor

    Parameters
    ----------
    samples : torch.Tensor
        Any shape.
    name : str, optional
        Name of the argument, for messages.

    Raises
    ------
    ValueError
        If they are not: the message has their type, and code that converts them.
    """
    dtype = str(getattr(samples, "dtype", "")).removeprefix("torch.")
    if isinstance(samples, Tensor) and samples.is_floating_point():
        return
    found = dtype if isinstance(samples, Tensor) else f"{type(samples).__name__} {dtype}".strip()
    tensor = name if isinstance(samples, Tensor) else f"torch.as_tensor({name})"
    scale = f" / {LARGEST[dtype]}" if dtype in LARGEST else ".float()"
    raise ValueError(
        f"`{name}` must be a torch.Tensor of floating-point samples in [-1, 1], found {found}: "
        f"give `{tensor}{scale}`."
    )


def check_batch(waveforms: Any) -> None:
    """Check that waveforms are a batch of one channel

    Parameters
    ----------
    waveforms : (batch_size, 1, num_samples) torch.Tensor

    Raises
    ------
    ValueError
        If their type or their shape is another one: the message has it.
    """
    check_samples(waveforms)
    if waveforms.ndim != 3 or waveforms.shape[1] != 1:
        raise ValueError(
            "`waveforms` must have shape (batch_size, 1, num_samples), found "
            f"{tuple(waveforms.shape)}: select one channel, or average them."
        )
