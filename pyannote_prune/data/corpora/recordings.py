"""Downloaded recordings of a corpus"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recording:
    """Downloaded files of a recording

    Parameters
    ----------
    uri : str
        Name in lists, RTTM and UEM, and of the WAV file.
    audio : Path
        Any number of channels, 16 kHz.
    reference : Path
        Speaker turns, as RTTM or TextGrid.
    regions : Path, optional
        Annotated regions, as UEM. Defaults to the whole recording.
    """

    uri: str
    audio: Path
    reference: Path
    regions: Path | None = None


def names(folder: Path, suffix: str) -> set[str]:
    """Names of files, without their suffix"""
    # archives made by macOS have hidden ._NAME files without content
    return {path.stem for path in folder.glob(f"*{suffix}") if not path.name.startswith(".")}
