"""Measure tables one after the other, or those that remain"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...files.folders import write_text
from ...files.locks import in_use
from .inputs import Inputs
from .results import Results, path_of
from .table import Table


@dataclass(frozen=True)
class Planned:
    """Table, and what is to be done about it

    Parameters
    ----------
    table : Table
    missing : sequence of str
        What is missing to measure it. It is left out if there is something.
    is_measured : bool
        Whether there are results with the same options.
    changed : sequence of str
        Options that differ from those of former results, which are replaced.
    """

    table: Table
    missing: Sequence[str] = ()
    is_measured: bool = False
    changed: Sequence[str] = ()

    @property
    def is_left(self) -> bool:
        """Whether it is to be measured"""
        return not self.is_measured and not self.missing

    def __str__(self) -> str:
        if self.is_measured:
            return "measured"
        if self.missing:
            return f"left out, needs {', '.join(self.missing)}"
        again = f", again: other {', '.join(self.changed)}" if self.changed else ""
        return f"to measure{again}"


def make_plan(tables: Iterable[Table], inputs: Inputs, output: Path) -> list[Planned]:
    """Find out which tables remain to be measured

    Parameters
    ----------
    tables : iterable of Table
    inputs : Inputs
    output : Path
        Folder of results. It may not exist.

    Raises
    ------
    OSError, ValueError
        If a file of results cannot be read.
    """
    return [_plan(table, inputs, path_of(output, table.name)) for table in tables]


def _plan(table: Table, inputs: Inputs, path: Path) -> Planned:
    former = Results.load(path) if path.is_file() else None
    # hashes of inputs take time
    missing = table.missing(inputs)
    if missing:
        return Planned(table, missing)
    if former is None:
        return Planned(table)
    changed = former.differences(table.request(inputs))
    return Planned(table, is_measured=not changed, changed=changed)


def hours(plan: Iterable[Planned]) -> float:
    """Estimate the time that remains, in hours"""
    return sum(planned.table.minutes for planned in plan if planned.is_left) / 60


def measure_tables(
    plan: Iterable[Planned],
    inputs: Inputs,
    output: Path,
    report: Callable[[str], None] = lambda step: None,
    done: Callable[[Table, Results], None] = lambda table, results: None,
) -> dict[str, Exception]:
    """Measure the tables that remain

    A table that fails does not stop the others. Results are written when their table is complete:
    an interrupted call goes on with the other tables.

    Parameters
    ----------
    plan : iterable of Planned
        See `make_plan`.
    inputs : Inputs
    output : Path
        Folder to write: one JSON file and one Markdown file for each table, and a folder for those
        that can be interrupted themselves.
    report : callable, optional
        Called with a description of each step.
    done : callable, optional
        Called with each table that was measured, and its results.

    Returns
    -------
    failures : dict of Exception
        Errors, by name of table.

    Raises
    ------
    ValueError
        If another process uses the folder.
    """
    failures: dict[str, Exception] = {}
    with in_use(output):
        for table in [planned.table for planned in plan if planned.is_left]:
            report(table.name)
            try:
                results = _measure(table, inputs, output, report)
            except Exception as error:
                logging.getLogger("pyannote_prune").debug("traceback", exc_info=True)
                failures[table.name] = error
            else:
                done(table, results)
            # models of a table do not stay beside those of the next one
            gc.collect()
    return failures


def _measure(table: Table, inputs: Inputs, output: Path, report: Callable[[str], None]) -> Results:
    request, start = table.request(inputs), time.monotonic()
    found = table.measure(
        inputs,
        output / table.name,
        lambda step: report(f"{table.name}: {step}"),
        **table.options,
    )
    results = Results(table.name, request, time.monotonic() - start, found)
    text = table.markdown(found)
    results.save(path_of(output, table.name))
    write_text(text, path_of(output, table.name).with_suffix(".md"))
    return results
