"""Files that are whole, or not there"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft"

# seconds: processes of one training do not start, nor finish, at the same time
PATIENCE = 120.0


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """File to write instead of `path`, whose place it takes in one go, once it is complete

    Parameters
    ----------
    path : str or Path
        Its folder is made if necessary. A previous file stays as it is in case of failure.

    See Also
    --------
    remove_drafts : Remove what a process that was killed leaves
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = draft_of(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def draft_of(path: Path) -> Path:
    """New file, empty, next to `path`, which `remove_drafts` removes if nobody does"""
    descriptor, temporary = tempfile.mkstemp(DRAFT, draft_prefix(path), path.parent)
    os.close(descriptor)
    return Path(temporary)


def draft_prefix(path: Path) -> str:
    """Prefix of temporary names, short enough for what `tempfile` adds"""
    longest = 255 - len("..") - 8 - len(DRAFT)  # bytes
    name = path.name
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return f".{name}."


def remove_drafts(folder: Path):
    """Remove what was being written in a folder of ours when a process was killed"""
    _remove(folder.rglob(f".*{DRAFT}"))


def remove_drafts_of(path: Path):
    """Remove drafts of one file or folder alone, where anything else may be somebody's"""
    prefix = glob.escape(draft_prefix(path))
    _remove(path.parent.glob(f"{prefix.removesuffix('.')}{DRAFT}"))
    _remove(path.parent.glob(f"{prefix}*{DRAFT}"))


def _remove(paths: Iterable[Path]):
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def wait_for(path: Path, patience: float = PATIENCE):
    """Wait for a file that another process writes

    Raises
    ------
    FileNotFoundError
        If it is still not there after that many seconds.
    """
    end = time.monotonic() + patience
    while not path.is_file():
        if time.monotonic() > end:
            raise FileNotFoundError(
                f"{str(path)!r} must be written by the first process, found nothing after "
                f"{patience:g} s: look at what this process says, and check that all of them see "
                "the same folder."
            )
        time.sleep(0.1)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
