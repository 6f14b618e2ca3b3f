"""Resolve untrusted file names inside a folder"""

from __future__ import annotations

import os
from pathlib import Path


def find_inside(folder: str | Path, name: object) -> Path | None:
    """File of a folder, unless its name leads out of it

    Absolute names, "..", and symbolic links to somewhere else lead out. Those of the cache of the
    hub do not, whose snapshots are links to blobs.

    Parameters
    ----------
    folder : str or Path
    name : str
        As found in a configuration, hence anything.

    Returns
    -------
    path : Path or None
        Existing file, or None.
    """
    folder = Path(folder)
    if not isinstance(name, str) or "\0" in name:
        return None
    # on any system: a configuration is read on others than the one where it was written
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or os.path.isabs(name) or not os.path.isfile(folder / name):
        return None
    target = (folder / name).resolve()
    return folder / name if any(map(target.is_relative_to, _homes(folder.resolve()))) else None


def _homes(folder: Path) -> list[Path]:
    """Where files of a folder are"""
    repository = folder.parent.parent
    if folder.parent.name != "snapshots" or not repository.name.startswith("models--"):
        return [folder]
    # blobs of that repository, and those that repositories share
    return [folder, repository / "blobs", repository.parent / "blobs"]
