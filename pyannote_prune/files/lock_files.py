"""Lock files: locks of the operating system, which end with their process

The file has the name of the process that holds the lock, for messages.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from pathlib import Path

from .messages import shorten

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


# errors of a lock that another process holds
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

# Windows locks bytes, which no other process can then read: this byte is never written
PLACE = 1 << 20


def acquire(path: Path) -> int | None:
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


def release(path: Path, descriptor: int) -> None:
    """Release a lock, and remove its file"""
    # Windows does not remove open files: the file stays, without a lock
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)


def owner_of(path: Path) -> str:
    """Process that holds a lock, and its machine"""
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        text = ""
    return shorten(text)[1:-1] if text else "another process"


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
