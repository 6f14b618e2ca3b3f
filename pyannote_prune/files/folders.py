"""Output folders, each reserved for one request"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .atomic import atomic_write, remove_drafts_of
from .clutter import is_empty
from .sources import SUFFIXES

# suffixes that names of folders do not have
OF_FILES = (
    *SUFFIXES,
    *(".zip", ".rttm", ".json", ".csv", ".txt", ".md", ".png", ".wav"),
)


def claim(
    folder: Path,
    name: str,
    content: dict[str, Any],
    option: str = "output",
    is_same: Callable[[Difference], bool] = lambda difference: False,
) -> None:
    """Reserve a folder for a request, or check that it already is

    Parameters
    ----------
    folder : Path
        Must not exist, be empty, or be reserved for the same request.
    name : str
        File of the folder that contains the request. It is written if the folder is new.
    content : dict
        Request, in plain values.
    option : str, optional
        Name of the argument, for messages.
    is_same : callable, optional
        Whether to ignore a difference with the former request. Defaults to none.

    Raises
    ------
    ValueError
        If the folder is reserved for another request, or contains other files.
    """
    path = folder / name
    if not path.is_file():
        claim_new(folder, name, content, option)
        return
    differences = find_differences(path, content)
    if refused := [difference for difference in differences if not is_same(difference)]:
        raise ValueError(
            f"`{option}` must be new, or the folder of the same {path.stem}, found "
            f"{str(folder)!r}, whose {name} has other values of {', '.join(map(str, refused))}: "
            "choose another folder."
        )
    if differences:
        write_yaml(content, path)


def claim_new(folder: Path, name: str, content: dict[str, Any], option: str = "output") -> None:
    """Reserve a new or empty folder for a request: see `claim`"""
    remove_drafts_of(folder / name)
    check_new(folder, option)
    write_yaml(content, folder / name)


@dataclass(frozen=True)
class Difference:
    """Value that differs between two requests

    Parameters
    ----------
    key : str
        Full key, with dots.
    here, there : any
        Value in the present request, and in the former request.
    """

    key: str
    here: Any
    there: Any

    def __str__(self) -> str:
        return f"{self.key} (here {self.here!r}, there {self.there!r})"


def find_differences(
    path: Path, content: dict[str, Any], defaults: dict[str, Any] | None = None
) -> list[Difference]:
    """Compare a request with the former one, read from a file

    `defaults` are the values of keys that the file lacks: those of a former release, for instance.
    """
    there, here = flatten(yaml.safe_load(path.read_text(encoding="utf-8"))), flatten(content)
    there = flatten(defaults or {}) | there
    return [
        Difference(key, here.get(key), there.get(key))
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
    ]


def flatten(plain: Any, key: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries into one, with full keys"""
    if not isinstance(plain, dict):
        return {key: plain}
    items = ((f"{key}.{name}" if key else str(name), value) for name, value in plain.items())
    return {k: v for name, value in items for k, v in flatten(value, name).items()}


def write_yaml(content: dict[str, Any], path: Path, comment: str = "") -> None:
    """Write plain values, below a comment of one line"""
    head = f"# {comment}\n" if comment else ""
    write_text(head + yaml.safe_dump(content, sort_keys=False), path)


def write_json(content: dict[str, Any], path: Path) -> None:
    write_text(json.dumps(content, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


def check_new(folder: Path, option: str = "folder") -> None:
    """Refuse folders that are not empty, and new ones with the suffix of a file"""
    if folder.suffix.lower() in OF_FILES and not folder.exists():
        raise ValueError(
            f"`{option}` must be a folder, found {str(folder)!r}, the name of a file: leave "
            f"{folder.suffix} out."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"`{option}` must be a folder, found the file {str(folder)!r}: choose another one."
        )
    if not is_empty(folder):
        raise ValueError(
            f"`{option}` must not exist, or be empty, found {str(folder)!r}: choose another one, "
            "or remove it first."
        )
