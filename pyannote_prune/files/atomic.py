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

# characters that `tempfile` adds to the prefix of a temporary file
ADDED = 8 + len(DRAFT)

# seconds: processes of one training neither start nor finish at the same time
PATIENCE = 120.0

# on the disk, in a quota, or in the largest file that a process may write
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteError(OSError):
    """Error of writing: `filename` is the final path, not the temporary file"""

    def __str__(self) -> str:
        way_out = "free some space" if self.errno in NO_SPACE else "check that it can be written"
        return (
            f"{self.filename!r} could not be written ({self.strerror}): {way_out}, then run the "
            "same command again. Files that are complete are kept."
        )


@contextmanager
def writing(path: str | Path, draft: Path | None = None) -> Iterator[None]:
    """Raise errors of writing with the final path

    Parameters
    ----------
    path : str or Path
        File or folder to write.
    draft : Path, optional
        Temporary file or folder, which replaces `path` once it is complete. Without it, `path` is a
        folder where files may also be read: errors other than a lack of space are left as they are.

    Raises
    ------
    WriteError
        Instead of an OSError that names no file, or `draft`, and instead of the errors of PyTorch
        and safetensors. Other errors are raised as they are.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = _os_error(error, draft)
        if reason is None or (draft is None and reason.errno not in NO_SPACE):
            raise
        raise WriteError(reason.errno, reason.strerror, str(path)) from error


def _os_error(error: Exception, draft: Path | None) -> OSError | None:
    """Find the error of the operating system, if it names no file, or a draft"""
    if isinstance(error, OSError):
        is_named = error.filename is not None and (
            draft is None or not Path(error.filename).is_relative_to(draft)
        )
        return None if error.errno is None or is_named else error
    if found := re.search(r"\(os error (\d+)\)", str(error)):  # safetensors
        return OSError(int(found[1]), os.strerror(int(found[1])))
    if draft is None or not draft.is_file():
        return None
    # PyTorch does not give the reason: writing some more does
    try:
        with open(draft, "ab") as file:
            file.write(bytes(1 << 16))
    except OSError as reason:
        return reason
    return None


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Write to a temporary file, then replace `path` atomically

    Parameters
    ----------
    path : str or Path
        Its folder is made if necessary. If writing fails, a previous file is left unchanged.

    Yields
    ------
    draft : Path
        Temporary file, empty, to write.

    Raises
    ------
    WriteError
        If the file cannot be written, because the disk is full for instance.

    See Also
    --------
    remove_drafts : Remove temporary files of processes that were killed
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
    """Make an empty temporary file next to `path`"""
    try:
        descriptor, temporary = tempfile.mkstemp(DRAFT, draft_prefix(path), path.parent)
    except OSError as error:
        raise WriteError(error.errno, error.strerror, str(path)) from error
    os.close(descriptor)
    return Path(temporary)


def draft_prefix(path: Path) -> str:
    """Prefix of temporary names, short enough for the characters that `tempfile` adds"""
    longest = 255 - len("..") - ADDED  # bytes
    name = path.name
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return f".{name}."


def remove_drafts(folder: Path, of: Iterable[Path] | None = None) -> None:
    """Remove temporary files of a killed process, anywhere in a folder of this package

    Parameters
    ----------
    folder : Path
    of : iterable of Path, optional
        Remove temporary files of these files alone: other processes write others.
    """
    drafts = folder.rglob(f".*{DRAFT}")
    if of is None:
        _remove(drafts)
        return
    prefixes = {(path.parent, draft_prefix(path)) for path in of}
    _remove(path for path in drafts if (path.parent, path.name[:-ADDED]) in prefixes)


def remove_drafts_of(path: Path) -> None:
    """Remove temporary files of one file or folder alone, in a folder with files of others"""
    prefix = glob.escape(draft_prefix(path))
    _remove(path.parent.glob(f"{prefix.removesuffix('.')}{DRAFT}"))
    _remove(path.parent.glob(f"{prefix}*{DRAFT}"))


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def wait_for(path: Path, patience: float = PATIENCE) -> None:
    """Wait for a file that another process writes

    Parameters
    ----------
    path : Path
    patience : float, optional
        In seconds.

    Raises
    ------
    FileNotFoundError
        If the file is still missing after `patience`.
    """
    end = time.monotonic() + patience
    while not path.is_file():
        if time.monotonic() > end:
            raise FileNotFoundError(
                f"{str(path)!r} must be written by the first process, found nothing after "
                f"{patience:g} s: look at the messages of that process, and check that all of them "
                "have the same folder."
            )
        time.sleep(0.1)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
