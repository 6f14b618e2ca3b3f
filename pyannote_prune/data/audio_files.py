"""Audio files of a folder: suffixes, names, and files that decoders can open"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

# suffixes of the usual audio formats
COMMON = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")

# and of videos, recorders and corpora. FFmpeg decodes all of them
EXTENSIONS = (
    *COMMON,
    *(".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".mka", ".oga", ".sph"),
    *(".w64", ".wma", ".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wmv"),
)


def select_audio(paths: Iterable[Path]) -> list[Path]:
    """Select files with a suffix of audio, sorted by name

    A file of an unusual format is left out if a usual one of the same name is beside it: talk.mp4,
    for instance, beside talk.wav.
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
    """Count unused files of a folder, by suffix, and sub-folders

    Parameters
    ----------
    folder : Path
    used : iterable of Path
        Files that do not count.
    recursive : bool, optional
        Count files of sub-folders, rather than sub-folders.

    Returns
    -------
    others : str
        Such as "2 .txt, 1 without suffix, 3 sub-folders": empty when there are none. Hidden files
        do not count.
    """
    used, num_folders = set(used), 0
    suffixes: Counter[str] = Counter()
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
    r"""Name of a recording or of a speaker, from the name of a file or folder without suffix

    Names in RTTM have neither spaces nor control characters, and are written in UTF-8: other
    characters are replaced.

    Examples
    --------
    >>> name_of("Monday, 9 a.m.")
    'Monday,_9_a.m.'
    >>> name_of("caf\udce9")  # byte E9, which is "é" in Latin-1
    'caf%E9'
    """
    return "".join(map(_escape, "_".join(stem.split())))


def _escape(character: str) -> str:
    # control characters, and surrogates, which stand for bytes that are not UTF-8
    if unicodedata.category(character) not in ("Cc", "Cs"):
        return character
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


@contextmanager
def decodable(path: Path) -> Iterator[Path | BufferedReader]:
    """Open a recording whose path decoders refuse, since it is not UTF-8: others stay paths"""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with path.open("rb") as file:
            yield file
        return
    yield path
