"""Files of results: the numbers of a table, and the options that they were measured with"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...files.folders import flatten, write_json


@dataclass(frozen=True)
class Results:
    """Content of a file of results

    Parameters
    ----------
    table : str
        Name of the table.
    options : dict
        What results depend on: see `Table.request`.
    seconds : float
        Time that it took to measure them, since the last interruption.
    results : dict
        Numbers of the table.
    """

    table: str
    options: dict[str, Any]
    seconds: float
    results: dict[str, Any]

    def save(self, path: Path) -> None:
        write_json(asdict(self), path)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file

        Raises
        ------
        OSError, ValueError
            If it cannot be read, or is no such file.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{str(path)!r} must be a file of results of `pyannote-prune benchmark all` "
                f"({error}): remove it, and measure its table again."
            ) from error

    def differences(self, options: dict[str, Any]) -> list[str]:
        """List options that differ from those of these results"""
        # as they are read: tuples become lists
        here = flatten(json.loads(json.dumps(options)))
        there = flatten(self.options)
        keys = sorted(here.keys() | there.keys())
        return [key for key in keys if here.get(key) != there.get(key)]


def path_of(folder: Path, name: str) -> Path:
    """Locate the file of results of a table"""
    return folder / f"{name}.json"
