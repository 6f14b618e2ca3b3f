"""Recordings of a folder: suffixes, names, and files that decoders can open"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# audio that people work with, and what it may come from: videos, recorders, corpora. FFmpeg decodes
# all of them
COMMON = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")


EXTENSIONS = (
    *COMMON,
    *(".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".mka", ".oga", ".sph"),
    *(".w64", ".wma", ".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wmv"),
)


def audio_files(paths: Iterable[Path]) -> list[Path]:
    """Select files that look like recordings, in the order of their names

    A video, say, whose audio is beside it (talk.mp4, talk.wav) is left out.
    """
    found = [path for path in paths if not path.name.startswith(".")]
    common = {path.with_suffix("") for path in found if path.suffix.lower() in COMMON}
    return sorted(
        path
        for path in found
        if path.suffix.lower() in COMMON
        or (path.suffix.lower() in EXTENSIONS and path.with_suffix("") not in common)
    )


def count_others(folder: Path, used: Iterable[Path], recursive: bool = False) -> str:
    """Count files of a folder that are not used, by suffix, and sub-folders

    Parameters
    ----------
    folder : Path
    used : iterable of Path
        Files of that folder that are used.
    recursive : bool, optional
        Count files of sub-folders, rather than sub-folders.

    Returns
    -------
    others : str
        Such as "2 .txt, 1 without suffix, 3 sub-folders": empty when there are none. Hidden files
        do not count.
    """
    used, suffixes, num_folders = set(used), Counter(), 0
    for path in folder.rglob("*") if recursive else folder.iterdir():
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path in used:
            continue
        if not path.is_dir():
            suffixes[path.suffix.lower() or "without suffix"] += 1
        elif not recursive:
            num_folders += 1
    counts = [f"{count} {suffix}" for suffix, count in sorted(suffixes.items())]
    if num_folders:
        counts.append(f"{num_folders} sub-folder{'s' if num_folders > 1 else ''}")
    return ", ".join(counts)


def name_of(stem: str) -> str:
    r"""Name of a recording or of a speaker, after that of a file or folder

    RTTM has neither spaces nor control characters, and is written in UTF-8: what names of files
    have besides is replaced.

    Examples
    --------
    >>> name_of("Monday, 9 a.m.")
    'Monday,_9_a.m.'
    >>> name_of("caf\udce9")  # byte E9, which is "é" in Latin-1
    'caf%E9'
    """
    return "".join(map(_escape, "_".join(stem.split())))


def _escape(character: str) -> str:
    # control characters, and the surrogates that stand for bytes that are not UTF-8
    if unicodedata.category(character) not in ("Cc", "Cs"):
        return character
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


@contextmanager
def decodable(path: Path) -> Iterator[Path | BinaryIO]:
    """Path of a recording, or the opened file where its name is not UTF-8: decoders refuse it"""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with path.open("rb") as file:
            yield file
        return
    yield path
