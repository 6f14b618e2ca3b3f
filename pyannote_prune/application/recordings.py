"""Recordings to diarize"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..audio_files import EXTENSIONS, audio_files
from ..check_protocol import load_protocol, saying_where
from ..protocol_files import list_recordings
from ..shorten import shorten

SUBSETS = ("train", "development", "test")


def recordings_of_paths(paths: Iterable[Path]) -> list[Mapping[str, Any]]:
    """Files, and those of folders, without their subfolders

    Parameters
    ----------
    paths : iterable of Path
        A file may have any extension. In folders, those of audio files are looked for.

    Returns
    -------
    recordings : list of dict
        "uri", the name of the file (without spaces, which RTTM does not allow), and "audio".

    Raises
    ------
    ValueError
        If there is nothing, or if two recordings have the same name.
    """
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found += audio_files(path.iterdir())
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"`recordings` must exist, found {str(path)!r}: check its name.")
    if not found:
        raise ValueError(
            f"`recordings` must be audio files ({', '.join(EXTENSIONS)}) or folders of them, found "
            "none."
        )
    recordings = [{"uri": "_".join(path.stem.split()), "audio": path} for path in found]
    check_names(recordings)
    return recordings


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
    """Results are files of these names"""
    uris = Counter(recording["uri"] for recording in recordings)
    twice = [uri for uri, count in uris.items() if count > 1]
    if twice:
        raise ValueError(
            f"names of recordings must differ, as those of their results, found {shorten(twice)} "
            "twice: rename them, or apply the pipeline to each folder."
        )
    outside = [uri for uri in uris if not _is_name(uri)]
    if outside:
        raise ValueError(
            f"names of recordings must be names of files, found {shorten(outside)}: change them."
        )


def _is_name(uri: Any) -> bool:
    return isinstance(uri, str) and uri not in ("", ".", "..") and not {*"/\\\0"} & {*uri}
