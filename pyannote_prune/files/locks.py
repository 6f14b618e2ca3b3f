"""Folders that one process at a time writes"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .clutter import LOCK
from .folders import check_new
from .messages import shorten

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


logger = logging.getLogger(__name__)


# errors of a lock that another process holds
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


# Windows locks bytes, which nobody else can read: one that is never written
PLACE = 1 << 20


@contextmanager
def in_use(folder: Path, option: str = "output") -> Iterator[None]:
    """Keep other processes out of a folder, which is made if necessary

    The lock is that of the operating system: it ends with this process, however it ends, and is
    seen by other machines that share the folder, if their file system has locks. Forks do not have
    it. A process does not keep itself out.

    Parameters
    ----------
    folder : Path
    option : str, optional
        Argument that is the folder, for messages.

    Raises
    ------
    ValueError
        If another process uses the folder: the message names that process and its machine.
    """
    if not folder.is_dir():
        check_new(folder, option)
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        descriptor = _acquire(path)
    except OSError as error:
        # read-only folders, and file systems without locks
        reason = error.strerror
        logger.warning("%s cannot be locked (%s): start no other command on it.", folder, reason)
        yield
        return
    if descriptor is None:
        raise ValueError(
            f"`{option}` must not be in use, found {str(folder)!r}, in use by {_owner(path)}: wait "
            "for it to end, or choose another folder."
        )
    try:
        yield
    finally:
        # Windows does not remove a file that is open: it stays, and is nobody's
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Lock a file, and write there who did. None if another process has"""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_ours = _lock(descriptor)
            # who had it may have removed it since it was opened
            if is_ours and _is_at(descriptor, path):
                _sign(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_ours:
            return None


def _lock(descriptor: int) -> bool:
    """Whether no other process has the lock, which is then ours"""
    try:
        if fcntl is not None:
            # of the process: `flock` would be inherited by workers, which may outlive it
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, PLACE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(descriptor: int):
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    text = f"process {os.getpid()} of {socket.gethostname()}, since {since}"
    # for messages alone: a full disk is the business of what needs the space
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())


def _owner(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        text = ""
    return shorten(text)[1:-1] if text else "another process"
