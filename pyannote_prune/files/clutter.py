"""Files that systems leave in folders: nobody asked for them, and they change nothing"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# of a process that writes there
LOCK = ".lock"


NAMES = (LOCK, ".DS_Store", ".directory", "Thumbs.db", "desktop.ini")


def is_clutter(path: Path) -> bool:
    """Whether a file is one of a lock, of Finder, Explorer or the like

    >>> is_clutter(Path("pipeline/.DS_Store")), is_clutter(Path("pipeline/config.yaml"))
    (True, False)
    """
    return path.name in NAMES or path.name.startswith("._")


def files_of(folder: Path) -> Iterator[Path]:
    """Files of a folder and of those in it, clutter apart"""
    return (path for path in folder.rglob("*") if path.is_file() and not is_clutter(path))


def is_empty(folder: Path) -> bool:
    """Whether a folder does not exist, or has nothing but clutter"""
    return not folder.exists() or all(map(is_clutter, folder.iterdir()))


def remove_empty(folder: Path):
    """Remove a folder that has nothing but clutter, if there is one"""
    if folder.exists():
        for path in folder.iterdir():
            if is_clutter(path):
                path.unlink()
        folder.rmdir()
