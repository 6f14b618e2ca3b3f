"""RTTM and UEM"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from .recordings import Turn


def read_rttm(path: Path) -> list[Turn]:
    """Read the speaker turns of one recording

    The name of the file says which recording: what its lines say of it is left aside.

    Raises
    ------
    ValueError
        If a line is malformed. The message gives its number.
    """
    turns = []
    for number, line in _lines(path):
        fields = line.split()
        if fields[:1] != ["SPEAKER"]:
            continue
        # the last field, signal lookahead time, came later than the others
        if len(fields) not in (9, 10):
            _refuse(path, number, line, "9 or 10 fields, hence names without spaces")
        start, duration = _seconds(path, number, line, fields[3:5])
        turns.append(Turn(start, start + duration, fields[7]))
    return turns


def read_uem(path: Path) -> list[tuple[float, float]]:
    """Read the annotated regions of one recording, in seconds"""
    regions = []
    for number, line in _lines(path):
        fields = line.split()
        if not fields or fields[0].startswith(";"):
            continue
        if len(fields) != 4:
            _refuse(path, number, line, "URI, channel, start and end")
        regions.append(tuple(_seconds(path, number, line, fields[2:])))
    return regions


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        return enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"A reference must be text in UTF-8, found {str(path)!r}, which is damaged or "
            "something else: download it again."
        ) from error


def _seconds(path: Path, number: int, line: str, fields: Sequence[str]) -> list[float]:
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        _refuse(path, number, line, "times in seconds")
    return values


def _refuse(path: Path, number: int, line: str, rule: str):
    raise ValueError(
        f"Lines of a reference must have {rule}, found {line!r} in {str(path)!r}, line {number}: "
        "correct it, or download the file again."
    )


# 7 decimals: a sample at 16 kHz lasts exactly 0.0000625 s
def rttm_line(uri: str, turn: Turn) -> str:
    """
    Examples
    --------
    >>> print(rttm_line("ES2002a", Turn(1.0, 2.5, "FEE005")), end="")
    SPEAKER ES2002a 1 1.0000000 1.5000000 <NA> <NA> FEE005 <NA> <NA>
    """
    duration = turn.end - turn.start
    return f"SPEAKER {uri} 1 {turn.start:.7f} {duration:.7f} <NA> <NA> {turn.speaker} <NA> <NA>\n"


def uem_line(uri: str, start: float, end: float) -> str:
    return f"{uri} 1 {start:.7f} {end:.7f}\n"
