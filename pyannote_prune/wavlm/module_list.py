"""Lists of modules with a known class"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, cast

import torch.nn as nn

Item = TypeVar("Item", bound=nn.Module, covariant=True)


class Modules(Protocol[Item]):
    """What is used of `nn.ModuleList`, which does not tell the class of its modules"""

    def __getitem__(self, index: int) -> Item: ...

    def __iter__(self) -> Iterator[Item]: ...

    def __len__(self) -> int: ...


def module_list(modules: Iterable[Item]) -> Modules[Item]:
    """Make a `nn.ModuleList`"""
    return cast("Modules[Item]", nn.ModuleList(modules))
