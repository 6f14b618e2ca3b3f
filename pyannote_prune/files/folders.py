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


def claim(
    folder: Path,
    name: str,
    content: dict[str, Any],
    option: str = "output",
    is_same: Callable[[Difference], bool] = lambda difference: False,
):
    """Make a folder that of a request, or check that it is

    Parameters
    ----------
    folder : Path
        Must not exist, be empty, or come from the same request.
    name : str
        File of that folder that says what was asked for, written here when the folder is new.
    content : dict
        What is asked for, in plain values.
    option : str, optional
        Argument that is the folder, for messages.
    is_same : callable, optional
        Whether a difference with the former request does not count. Defaults to none that does not.

    Raises
    ------
    ValueError
        If the folder is in use, by another request or by anything else.
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


def claim_new(folder: Path, name: str, content: dict[str, Any], option: str = "output"):
    """Make a new, or empty, folder that of a request: see `claim`"""
    remove_drafts_of(folder / name)
    check_new(folder, option)
    write_yaml(content, folder / name)


@dataclass(frozen=True)
class Difference:
    """Value that is not the same in a request and in the one that a folder comes from

    Parameters
    ----------
    key : str
        Full key, with dots.
    here, there : any
        What is asked for, and what the folder comes from.
    """

    key: str
    here: Any
    there: Any

    def __str__(self) -> str:
        return f"{self.key} (here {self.here!r}, there {self.there!r})"


def find_differences(path: Path, content: dict[str, Any]) -> list[Difference]:
    """Differences between a request and what a file says of another one"""
    there, here = flatten(yaml.safe_load(path.read_text(encoding="utf-8"))), flatten(content)
    return [
        Difference(key, here.get(key), there.get(key))
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
    ]


def flatten(plain: Any, key: str = "") -> dict[str, Any]:
    """Values of nested dictionaries, by their full key"""
    if not isinstance(plain, dict):
        return {key: plain}
    items = ((f"{key}.{name}" if key else str(name), value) for name, value in plain.items())
    return {k: v for name, value in items for k, v in flatten(value, name).items()}


def write_yaml(content: dict[str, Any], path: Path):
    write_text(yaml.safe_dump(content, sort_keys=False), path)


def write_json(content: dict[str, Any], path: Path):
    write_text(json.dumps(content, indent=2) + "\n", path)


def write_text(text: str, path: Path):
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


# names of folders do not end so
OF_FILES = (".ckpt", ".bin", ".pt", ".pth", ".safetensors", ".onnx", ".yaml", ".yml", ".zip")


OF_FILES += (".rttm", ".json", ".csv", ".txt", ".md", ".png", ".wav")


def check_new(folder: Path, option: str = "folder"):
    """Refuse folders in use, and new ones whose names end as those of files do"""
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
