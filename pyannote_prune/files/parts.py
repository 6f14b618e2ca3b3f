"""Parts of a list that several processes share"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One of `count` parts of a list, of the same size up to one item

    Parameters
    ----------
    index : int
        From 1 to `count`.
    count : int
        Number of parts.

    Raises
    ------
    ValueError
        If the index is not in this range.

    Examples
    --------
    >>> [Part(index, 3).of("abcdefg") for index in (1, 2, 3)]
    [['a', 'd', 'g'], ['b', 'e'], ['c', 'f']]
    """

    index: int
    count: int

    def __post_init__(self):
        if not 1 <= self.index <= self.count:
            raise ValueError(_rule(str(self)))

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read a part such as "3/16"

        Raises
        ------
        ValueError
            If it is something else.
        """
        if (match := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)) is None:
            raise ValueError(_rule(text))
        return cls(int(match[1]), int(match[2]))

    def of(self, items: Sequence[T]) -> list[T]:
        """Every `count`-th item, from that of the index on"""
        return [*items[self.index - 1 :: self.count]]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def _rule(found: str) -> str:
    return (
        f"`--part` must be k/n with k from 1 to n, found {found!r}: 3/16 is the third of 16 parts."
    )
