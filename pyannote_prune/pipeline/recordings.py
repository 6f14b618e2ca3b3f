"""Recordings to diarize"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..data.audio_files import EXTENSIONS, audio_files, count_others, name_of
from ..data.protocol import load_protocol, saying_where
from ..data.protocol_files import list_recordings
from ..files.messages import shorten

# bytes: names of files have at most 255, and those of results end in ".rttm"
LONGEST = 250


def recordings_of_paths(paths: Iterable[Path]) -> list[Mapping[str, Any]]:
    """List files, and recordings in folders, without their sub-folders

    Parameters
    ----------
    paths : iterable of Path
        A file may have any extension. In folders, those of audio files are looked for.

    Returns
    -------
    recordings : list of dict
        "uri", the name of the file (without spaces: see `name_of`), and "audio".

    Raises
    ------
    ValueError
        If there is nothing, if two recordings have the same name, or if results cannot have it.

    See Also
    --------
    left_out : What else there is in folders
    """
    paths, found = [*map(Path, paths)], []
    for path in paths:
        if path.is_dir():
            found += audio_files(path.iterdir())
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"`recordings` must exist, found {str(path)!r}: check its name.")
    if not found:
        raise ValueError(
            f"`recordings` must be audio files ({', '.join(EXTENSIONS)}) or folders of them, found "
            f"none{f' ({others})' if (others := left_out(paths)) else ''}."
        )
    recordings = [{"uri": name_of(path.stem), "audio": path} for path in found]
    check_names(recordings)
    return recordings


def left_out(paths: Iterable[Path], results: Path | None = None) -> str:
    """Count files of each suffix, and sub-folders, that are left out of folders

    Parameters
    ----------
    paths : iterable of Path
    results : Path, optional
        Folder of results, which may be among sub-folders, and does not count.

    Returns
    -------
    others : str
        Such as "talks: 2 .txt, 1 sub-folder": empty when there is nothing.
    """
    counts = []
    for folder in filter(Path.is_dir, map(Path, paths)):
        used = audio_files(folder.iterdir())
        if results is not None and results.resolve().parent == folder.resolve():
            used.append(folder / results.resolve().name)
        if others := count_others(folder, used):
            counts.append(f"{folder}: {others}")
    return "; ".join(counts)


def recordings_of_protocol(database: Path, name: str, subset: str) -> list[Mapping[str, Any]]:
    """Files of a pyannote.database protocol

    Parameters
    ----------
    database : Path
        A `database.yml`.
    name : str
    subset : str
        "train", "development" or "test".

    Returns
    -------
    recordings : list of ProtocolFile
        References that cannot be read are left out: see `list_recordings`.

    Raises
    ------
    ValueError, OSError
        If there is no such protocol or subset, or if its files cannot be listed.
    """
    protocol = load_protocol(database, name)
    with saying_where(subset, name):
        recordings = list_recordings(protocol, subset)
        check_names(recordings)
    return recordings


def check_names(recordings: Iterable[Mapping[str, Any]]):
    """Check that results can be files of these names"""
    uris = Counter(recording["uri"] for recording in recordings)
    twice = [uri for uri, count in uris.items() if count > 1]
    if twice:
        raise ValueError(
            f"names of recordings must differ, as those of their results, found {shorten(twice)} "
            "twice: rename them, or apply the pipeline to each folder."
        )
    for uri in uris:
        check_name(uri)


def check_name(uri: Any):
    """Check that results can be files of that name

    Raises
    ------
    ValueError
        If it is not the name of a file, or if it is too long.
    """
    if not _is_name(uri):
        raise ValueError(
            f"names of recordings must be names of files, found {shorten(uri)}: change it."
        )
    if (size := len(os.fsencode(uri))) > LONGEST:
        raise ValueError(
            f"names of recordings must have at most {LONGEST} bytes, for those of their results, "
            f"found {shorten(uri)} ({size} bytes): shorten it."
        )


def _is_name(uri: Any) -> bool:
    return isinstance(uri, str) and uri not in ("", ".", "..") and not {*"/\\\0"} & {*uri}
