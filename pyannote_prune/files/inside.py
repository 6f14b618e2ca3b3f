"""Resolve untrusted file names inside a folder"""

from __future__ import annotations

import os
from pathlib import Path


def find_inside(folder: str | Path, name: object) -> Path | None:
    """Find a file in a folder, unless its name leads out of the folder

    Absolute names, "..", and symbolic links to other folders lead out. Snapshots in the cache of
    the hub, which are links to blobs, do not.

    Parameters
    ----------
    folder : str or Path
    name : str
        As read from a configuration, hence of any type.

    Returns
    -------
    path : Path or None
        Existing file, or None.
    """
    folder = Path(folder)
    if not isinstance(name, str) or "\0" in name:
        return None
    # separators of all systems: a configuration may come from another one
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or os.path.isabs(name) or not os.path.isfile(folder / name):
        return None
    target = (folder / name).resolve()
    return folder / name if any(map(target.is_relative_to, _homes(folder.resolve()))) else None


def _homes(folder: Path) -> list[Path]:
    """Folders that files of a folder may be in"""
    repository = folder.parent.parent
    if folder.parent.name != "snapshots" or not repository.name.startswith("models--"):
        return [folder]
    # blobs of the repository, and blobs that repositories share
    return [folder, repository / "blobs", repository.parent / "blobs"]
