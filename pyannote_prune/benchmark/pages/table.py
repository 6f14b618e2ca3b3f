"""A table of the pages: how it is measured, and what that takes"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ...files.extras import missing_packages
from ...files.messages import did_you_mean
from .inputs import Inputs


@dataclass(frozen=True)
class Table:
    """Table of the pages

    Parameters
    ----------
    name : str
        Name of its files, "{name}.json" and "{name}.md".
    title : str
        What is measured.
    page : str
        Page that shows it.
    minutes : float
        Estimate on 2 cores, or on a GPU.
    measure : callable
        Called with inputs, a folder for files that an interrupted measurement goes on with, which
        may not exist, a function that reports steps, and options as keywords. Returns results:
        plain values, without paths of this machine.
    markdown : callable
        From results to what pages show, in Markdown.
    options : dict, optional
        Keyword arguments of `measure`, as plain values: other ones give another table.
    needs : sequence of str, optional
        Attributes of `Inputs` that must be given.
    uses : sequence of str, optional
        Attributes of `Inputs` that also change results.
    extras : sequence of str, optional
        Extras of this package that must be installed.
    gpu : bool, optional
        Whether a GPU is needed. Defaults to False.
    """

    name: str
    title: str
    page: str
    minutes: float
    measure: Callable[..., dict[str, Any]]
    markdown: Callable[[Mapping[str, Any]], str]
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: Sequence[str] = ()
    uses: Sequence[str] = ()
    extras: Sequence[str] = ()
    gpu: bool = False

    def missing(self, inputs: Inputs) -> list[str]:
        """List what is missing on this machine, or was not given, to measure the table"""
        found = [
            f"--{name.replace('_', '-')}" for name in self.needs if getattr(inputs, name) is None
        ]
        packages = {package for extra in self.extras for package in missing_packages(extra)}
        if packages:
            extras = ",".join(self.extras)
            found.append(f"{', '.join(sorted(packages))} (pip install 'pyannote-prune[{extras}]')")
        if self.gpu and not torch.cuda.is_available():
            found.append("a GPU")
        return found

    def request(self, inputs: Inputs) -> dict[str, Any]:
        """Describe what results depend on, as plain values"""
        return {**self.options, **inputs.describe([*self.needs, *self.uses])}


def choose_tables(tables: Iterable[Table], names: Sequence[str]) -> list[Table]:
    """Choose tables by name, or all of them if there is none

    Raises
    ------
    ValueError
        If there is no such table.
    """
    known = {table.name: table for table in tables}
    for name in names:
        if name not in known:
            raise ValueError(
                f"`table` must be one of {', '.join(map(repr, known))}, found {name!r}"
                f"{did_you_mean(name, known)}."
            )
    return [table for name, table in known.items() if name in names or not names]
