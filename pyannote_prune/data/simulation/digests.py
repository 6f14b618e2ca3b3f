"""Digest the recordings of a simulation, to notice other ones"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .voices import Excerpt

# of a file of more than 64 KiB, these are read: its first and last bytes, and some between them
NUM_BLOCKS, BLOCK = 16, 4096


def digest(voices: Mapping[str, Sequence[Excerpt]]) -> str:
    """Digest recordings: names of speakers and files, bounds of excerpts, sizes, and contents

    Copies have the same digest, whatever their folder and times of change. Of large files, 16
    blocks of 4 KiB are read, evenly spread from the first to the last byte. Hence, the digest does
    not notice another recording that has the same name, the same number of bytes and the same 16
    blocks: one that was edited in place between two blocks, without changing its size.

    Parameters
    ----------
    voices : dict of list of Excerpt
        Recordings of each speaker.

    Returns
    -------
    digest : str

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    return _digest(voices, _sample_contents)


def former_digest(voices: Mapping[str, Sequence[Excerpt]]) -> str:
    """Digest recordings as folders of former versions: times of change instead of contents"""
    return _digest(voices, lambda path: path.stat().st_mtime_ns)


def _digest(voices: Mapping[str, Sequence[Excerpt]], describe: Callable[[Path], Any]) -> str:
    paths = {one.path for recordings in voices.values() for one in recordings}
    files = {path: (path.stat().st_size, describe(path)) for path in paths}
    found = [
        [speaker, one.path.name, one.start, one.end, one.take, *files[one.path]]
        for speaker, recordings in sorted(voices.items())
        for one in recordings
    ]
    return f"sha256:{hashlib.sha256(json.dumps(found).encode()).hexdigest()}"


def _sample_contents(path: Path) -> str:
    """Hash a file, or blocks of a large one"""
    content, last = hashlib.sha256(), path.stat().st_size - BLOCK
    with path.open("rb") as file:
        if last < (NUM_BLOCKS - 1) * BLOCK:
            content.update(file.read())
            return content.hexdigest()
        for i in range(NUM_BLOCKS):
            file.seek(i * last // (NUM_BLOCKS - 1))
            content.update(file.read(BLOCK))
    return content.hexdigest()
