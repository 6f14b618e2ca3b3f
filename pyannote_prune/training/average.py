"""Average the weights of checkpoints"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ..files.pickles import read_safely
from ..wavlm.weights import is_state_dict


def average_checkpoints(paths: Sequence[str | Path]) -> dict[str, Tensor]:
    """Average the weights of checkpoints

    Parameters
    ----------
    paths : sequence of str or Path
        Checkpoints of the same network, best first.

    Returns
    -------
    state_dict : dict of torch.Tensor
        Floating-point entries are averaged (in double precision, then cast back). Others, e.g. the
        number of batches seen by a batch normalization, are taken from the first checkpoint.

    Raises
    ------
    ValueError
        If there is no checkpoint, or if keys or shapes differ.
    """
    if not paths:
        raise ValueError("`paths` must name one checkpoint at least, found none: train for longer.")
    first: dict[str, Tensor] = {}
    totals: dict[str, Tensor] = {}
    for path in paths:
        content = read_safely(path)
        if not isinstance(content, dict) or not is_state_dict(content.get("state_dict")):
            raise ValueError(f"{str(path)!r} must be a Lightning checkpoint: no `state_dict`.")
        state_dict = content["state_dict"]
        first = first or state_dict
        for key in first | state_dict:
            found, expected = (getattr(d.get(key), "shape", "absent") for d in (state_dict, first))
            if found != expected:
                raise ValueError(
                    f"Checkpoints must be of one network: {key!r} is {found} in {str(path)!r}, "
                    f"{expected} in {str(paths[0])!r}."
                )
            if first[key].is_floating_point():
                totals[key] = totals.get(key, 0) + state_dict[key].double()
    return first | {key: (t / len(paths)).to(first[key].dtype) for key, t in totals.items()}
