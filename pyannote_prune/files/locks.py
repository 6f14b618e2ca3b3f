"""Folders that one process at a time writes, or several processes, each its part

Processes that have parts hold locks of their own, and take turns to update the files that they
share.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .clutter import LOCK
from .folders import check_new
from .lock_files import acquire, owner_of, release
from .parts import Part

logger = logging.getLogger(__name__)

# locks of parts
PARTS = f"{LOCK}-*-of-*"

# lock of the process that updates what parts share, locks included
UPDATE = f"{LOCK}-update"

# seconds between attempts to get it, and until the log says whom a process waits for
PAUSE, PATIENCE = 0.05, 10.0


@contextmanager
def in_use(folder: Path, option: str = "output", part: Part | None = None) -> Iterator[None]:
    """Lock a folder, which is made if necessary, against other processes

    This is a lock of the operating system: it ends with this process, however the process ends,
    and counts for other machines that share the folder, if their file system has locks. Forks do
    not inherit it. The same process can lock a folder twice, one time after the other.

    Parameters
    ----------
    folder : Path
    option : str, optional
        Name of the argument, for messages.
    part : Part, optional
        Lock this part alone: other processes may have other parts of the same number of parts.

    Raises
    ------
    ValueError
        If another process uses the folder, or this part: the message names that process and its
        machine.

    See Also
    --------
    updating : Update a file that parts share
    """
    if not folder.is_dir():
        check_new(folder, option)
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / _name(part)
    try:
        with updating(folder):
            holder = next(filter(_is_held, _excluding(folder, part)), None)
            descriptor = None if holder else acquire(path)
    except OSError as error:
        # read-only folders, and file systems without locks
        advice = "start no other command on it" if part is None else "give each process its part"
        logger.warning("%s cannot be locked (%s): %s.", folder, error.strerror, advice)
        yield
        return
    if descriptor is None:
        holder = holder or path
        raise ValueError(
            f"`{option}` must not be in use, found {str(folder)!r}, in use by {owner_of(holder)}: "
            f"{_way_out(_part(holder), part)}."
        )
    try:
        yield
    finally:
        release(path, descriptor)
        if part is not None:
            _remove_unused(folder)


@contextmanager
def updating(folder: Path) -> Iterator[None]:
    """Wait until no other process updates the files that parts of a folder share

    Without effect in file systems without locks.
    """
    path = folder / UPDATE
    try:
        descriptor = _wait_for(path)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _end_update(folder, descriptor)


def _wait_for(path: Path) -> int:
    """Lock a file as soon as no other process has the lock, which ends with its process"""
    start, is_told = time.monotonic(), False
    while (descriptor := acquire(path)) is None:
        if not is_told and time.monotonic() > start + PATIENCE:
            logger.warning("Waiting for %s, which updates %s.", owner_of(path), path.parent)
            is_told = True
        time.sleep(PAUSE)
    return descriptor


def _end_update(folder: Path, descriptor: int) -> None:
    """Release the lock. Its file stays while there are parts: network file systems may be late

    A machine that sees a removed file for a while could lock it, beside the one that replaces it.
    """
    if any(folder.glob(PARTS)):
        os.close(descriptor)
    else:
        release(folder / UPDATE, descriptor)


def _remove_unused(folder: Path) -> None:
    """Remove the lock of updates after the last part. A process that has it does so by itself"""
    with contextlib.suppress(OSError):
        descriptor = acquire(folder / UPDATE)
        if descriptor is not None:
            _end_update(folder, descriptor)


def _name(part: Part | None) -> str:
    return LOCK if part is None else f"{LOCK}-{part.index}-of-{part.count}"


def _part(path: Path) -> Part | None:
    """Part whose lock this is, if it is one of a part"""
    match = re.fullmatch(rf"{re.escape(LOCK)}-(\d+)-of-(\d+)", path.name)
    return Part(int(match[1]), int(match[2])) if match else None


def _excluding(folder: Path, part: Part | None) -> Iterator[Path]:
    """Locks of other names that exclude this one: whole folder, parts of another number of parts"""
    if part is not None and (folder / LOCK).exists():
        yield folder / LOCK
    for path in folder.glob(PARTS):
        if part is None or not path.name.endswith(f"-of-{part.count}"):
            yield path


def _is_held(path: Path) -> bool:
    """Whether another process has a lock: the file of a process that was killed is removed"""
    descriptor = acquire(path)
    if descriptor is not None:
        release(path, descriptor)
    return descriptor is None


def _way_out(holder: Part | None, part: Part | None) -> str:
    """What to do instead of using a folder that another process uses"""
    if holder is None:
        return "wait for it to end, or choose another folder"
    does = f"it does part {holder}"
    if part == holder:
        return f"{does}. Wait for it to end, or give another part"
    return f"{does}. Wait for all parts to end, or give another part of {holder.count} (`--part`)"
