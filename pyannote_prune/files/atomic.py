"""Atomic file writes"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

DRAFT = ".draft"


# seconds: processes of one training do not start, nor finish, at the same time
PATIENCE = 120.0


# on the disk, in a quota, or in the largest file that a process may write
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteError(OSError):
    """Error of writing: `filename` is what was asked for, not the temporary file in its place"""

    def __str__(self) -> str:
        way_out = "free some space" if self.errno in NO_SPACE else "check that it can be written"
        return (
            f"{self.filename!r} could not be written ({self.strerror}): {way_out}, then run the "
            "same command again. It goes on from what is complete."
        )


@contextmanager
def writing(path: str | Path, draft: Path | None = None) -> Iterator[None]:
    """Raise errors of writing with the name of what is written

    Parameters
    ----------
    path : str or Path
        What is written.
    draft : Path, optional
        Temporary file or folder that is written in its place. Without it, `path` is a folder where
        files may also be read: a lack of space alone counts.

    Raises
    ------
    WriteError
        In place of an OSError that names nothing, or `draft`, and of the errors of PyTorch and
        safetensors. All others are raised as they are.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = _os_error(error, draft)
        if reason is None or (draft is None and reason.errno not in NO_SPACE):
            raise
        raise WriteError(reason.errno, reason.strerror, str(path)) from error


def _os_error(error: Exception, draft: Path | None) -> OSError | None:
    """Error of the system about a file without name, or about a draft"""
    if isinstance(error, OSError):
        is_named = error.filename is not None and (
            draft is None or not Path(error.filename).is_relative_to(draft)
        )
        return None if error.errno is None or is_named else error
    if found := re.search(r"\(os error (\d+)\)", str(error)):  # safetensors
        return OSError(int(found[1]), os.strerror(int(found[1])))
    if draft is None or not draft.is_file():
        return None
    # PyTorch does not say what is wrong: whoever writes on learns it
    try:
        with open(draft, "ab") as file:
            file.write(bytes(1 << 16))
    except OSError as reason:
        return reason
    return None


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """File to write instead of `path`, whose place it takes in one go, once it is complete

    Parameters
    ----------
    path : str or Path
        Its folder is made if necessary. A previous file stays as it is in case of failure.

    Raises
    ------
    WriteError
        If it cannot be written, for want of space for instance.

    See Also
    --------
    remove_drafts : Remove what a process that was killed leaves
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = draft_of(path)
    try:
        with writing(path, temporary):
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
    try:
        descriptor, temporary = tempfile.mkstemp(DRAFT, draft_prefix(path), path.parent)
    except OSError as error:
        raise WriteError(error.errno, error.strerror, str(path)) from error
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
