"""Files of operating systems and locks, which do not count as contents of a folder"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# name of the lock of a process that writes in a folder. Locks of parts have longer names
LOCK = ".lock"
NAMES = (LOCK, ".DS_Store", ".directory", "Thumbs.db", "desktop.ini")


def is_clutter(path: Path) -> bool:
    """Whether a file is a lock, or was written by Finder, Explorer or the like

    >>> is_clutter(Path("pipeline/.DS_Store")), is_clutter(Path("pipeline/config.yaml"))
    (True, False)
    """
    return path.name in NAMES or path.name.startswith(("._", f"{LOCK}-"))


def files_of(folder: Path) -> Iterator[Path]:
    """Iterate over files of a folder and of its subfolders, except clutter"""
    return (path for path in folder.rglob("*") if path.is_file() and not is_clutter(path))


def is_empty(folder: Path) -> bool:
    """Whether a folder does not exist, or contains only clutter"""
    return not folder.exists() or all(map(is_clutter, folder.iterdir()))


def remove_empty(folder: Path) -> None:
    """Remove a folder, if it exists, that contains only clutter"""
    if folder.exists():
        for path in folder.iterdir():
            if is_clutter(path):
                path.unlink()
        folder.rmdir()
