"""Which files of a folder are recordings"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

EXTENSIONS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")


def audio_files(paths: Iterable[Path]) -> list[Path]:
    """Those that look like recordings, in the order of their names"""
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    )
