"""Folders of results: whose they are, and what is written there"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .export import check_new
from .whole import remove_drafts_of, whole


def claim(folder: Path, name: str, content: dict[str, Any]):
    """Make a folder that of a request, or check that it is

    Parameters
    ----------
    folder : Path
        Must not exist, be empty, or come from the same request.
    name : str
        File of that folder that says what was asked for, written here when the folder is new.
    content : dict
        What is asked for, in plain values.

    Raises
    ------
    ValueError
        If the folder is in use, by another request or by anything else.
    """
    path = folder / name
    if not path.is_file():
        remove_drafts_of(path)
        check_new(folder)
        with whole(path) as draft:
            draft.write_text(yaml.safe_dump(content, sort_keys=False))
        return
    found, expected = flatten(yaml.safe_load(path.read_text())), flatten(content)
    differences = [
        f"{key} (here {expected.get(key)!r}, there {found.get(key)!r})"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]
    if differences:
        raise ValueError(
            f"`output` must be new, or the folder of the same {path.stem}, found {str(folder)!r}, "
            f"whose {name} has other values of {', '.join(differences)}: choose another folder."
        )


def flatten(plain: Any, key: str = "") -> dict[str, Any]:
    """Values of nested dictionaries, by their full key"""
    if not isinstance(plain, dict):
        return {key: plain}
    items = ((f"{key}.{name}" if key else str(name), value) for name, value in plain.items())
    return {k: v for name, value in items for k, v in flatten(value, name).items()}


def write_json(content: dict[str, Any], path: Path):
    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=2) + "\n")
