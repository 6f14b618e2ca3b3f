"""Folders that one process at a time writes"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .clutter import LOCK
from .folders import check_new
from .messages import shorten

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


logger = logging.getLogger(__name__)

# errors of a lock that another process holds
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

# Windows locks bytes, which no other process can then read: this byte is never written
PLACE = 1 << 20


@contextmanager
def in_use(folder: Path, option: str = "output") -> Iterator[None]:
    """Lock a folder, which is made if necessary, against other processes

    This is a lock of the operating system: it ends with this process, however the process ends,
    and counts for other machines that share the folder, if their file system has locks. Forks do
    not inherit it. The same process can lock a folder twice.

    Parameters
    ----------
    folder : Path
    option : str, optional
        Name of the argument, for messages.

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
        # Windows does not remove open files: the file stays, without a lock
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Lock a file, and write the name of this process there

    Returns
    -------
    descriptor : int or None
        None if another process has the lock.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_ours = _lock(descriptor)
            # the process that had the lock may have removed the file in the meantime
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
    """Try to lock, and return whether this process now has the lock"""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, PLACE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            # `flock` would be inherited by workers, which may outlive this process
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def _sign(descriptor: int) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    text = f"process {os.getpid()} of {socket.gethostname()}, since {since}"
    # the name is for messages alone: a full disk is no reason to fail here
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())


def _owner(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        text = ""
    return shorten(text)[1:-1] if text else "another process"
