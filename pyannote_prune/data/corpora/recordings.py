"""What a corpus is made of"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recording:
    """Downloaded files of a recording

    Parameters
    ----------
    uri : str
        Its name in lists, RTTM and UEM, and that of its WAV file.
    audio : Path
        Any number of channels, 16 kHz.
    reference : Path
        Speaker turns, as RTTM or TextGrid.
    regions : Path, optional
        What is annotated, as UEM. Defaults to the whole recording.
    """

    uri: str
    audio: Path
    reference: Path
    regions: Path | None = None


def names(folder: Path, suffix: str) -> set[str]:
    """Names of files, without their suffix"""
    # macOS archives come with hidden ._NAME files, which hold nothing
    return {path.stem for path in folder.glob(f"*{suffix}") if not path.name.startswith(".")}
