"""List recordings to diarize"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..data.audio_files import EXTENSIONS, count_others, name_of, select_audio
from ..data.protocol import load_protocol, naming_subset
from ..data.protocol_files import list_recordings
from ..files.messages import shorten
from ..files.parts import Part

# in bytes: names of files have at most 255, and results end in ".rttm"
LONGEST = 250


def recordings_of_paths(paths: Iterable[Path]) -> list[Mapping[str, Any]]:
    """List files, and recordings in folders, without their sub-folders

    Parameters
    ----------
    paths : iterable of Path
        Files with any suffix, and folders, of which audio files are selected by suffix.

    Returns
    -------
    recordings : list of dict
        "uri", the name of the file (without spaces: see `name_of`), and "audio".

    Raises
    ------
    ValueError
        If there is no recording, if two have the same name, or if it cannot be the name of a file.

    See Also
    --------
    left_out : Count the other files of folders
    """
    paths, found = [*map(Path, paths)], []
    for path in paths:
        if path.is_dir():
            found += select_audio(path.iterdir())
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"`recordings` must exist, found {str(path)!r}: check its name.")
    if not found:
        raise ValueError(
            f"`recordings` must be audio files ({', '.join(EXTENSIONS)}) or folders of them, found "
            f"none{f' ({others})' if (others := left_out(paths)) else ''}."
        )
    recordings: list[Mapping[str, Any]] = [
        {"uri": name_of(path.stem), "audio": path} for path in found
    ]
    check_names(recordings)
    return recordings


def left_out(paths: Iterable[Path], results: Path | None = None) -> str:
    """Count files of folders that are left out, by suffix, and sub-folders

    Parameters
    ----------
    paths : iterable of Path
    results : Path, optional
        Folder of results, which does not count if it is a sub-folder.

    Returns
    -------
    others : str
        Such as "talks: 2 .txt, 1 sub-folder": empty when there is nothing.
    """
    counts = []
    for folder in filter(Path.is_dir, map(Path, paths)):
        used = select_audio(folder.iterdir())
        if results is not None and results.resolve().parent == folder.resolve():
            used.append(folder / results.resolve().name)
        if others := count_others(folder, used):
            counts.append(f"{folder}: {others}")
    return "; ".join(counts)


def recordings_of_protocol(database: Path, name: str, subset: str) -> list[Mapping[str, Any]]:
    """List recordings of a pyannote.database protocol

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
    with naming_subset(subset, name):
        recordings = list_recordings(protocol, subset)
        check_names(recordings)
    return [*recordings]


def recordings_of_part(
    recordings: Iterable[Mapping[str, Any]], part: Part
) -> list[Mapping[str, Any]]:
    """Select the recordings of a part: it depends on nothing but the names of all recordings"""
    return part.of(sorted(recordings, key=lambda recording: recording["uri"]))


def check_names(recordings: Iterable[Mapping[str, Any]]) -> None:
    """Check that names of recordings are unique, and can be names of files"""
    uris = Counter(recording["uri"] for recording in recordings)
    twice = [uri for uri, count in uris.items() if count > 1]
    if twice:
        raise ValueError(
            f"names of recordings must differ, since results have the same names, found "
            f"{shorten(twice)} twice: rename them, or apply the pipeline to each folder."
        )
    for uri in uris:
        check_name(uri)


def check_name(uri: Any) -> None:
    """Check that the name of a recording can be the name of a file

    Raises
    ------
    ValueError
        If it cannot, or if it is too long.
    """
    if not _is_name(uri):
        raise ValueError(
            f"names of recordings must be names of files, found {shorten(uri)}: change it."
        )
    if (size := len(os.fsencode(uri))) > LONGEST:
        raise ValueError(
            f"names of recordings must have at most {LONGEST} bytes, since results have the same "
            f"names, found {shorten(uri)} ({size} bytes): shorten it."
        )


def _is_name(uri: Any) -> bool:
    return isinstance(uri, str) and uri not in ("", ".", "..") and not {*"/\\\0"} & {*uri}
