"""Checks of the options of callbacks"""

from __future__ import annotations


def check_at_least(minimum: int, **options: int | None):
    """Check that options, unless they are None, are not below a minimum

    Raises
    ------
    ValueError
        If one is: the message names it.
    """
    for name, value in options.items():
        if value is not None and value < minimum:
            raise ValueError(f"`{name}` must be at least {minimum}, found {value}.")
