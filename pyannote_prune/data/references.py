"""RTTM, UEM and lists of recordings"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..files.messages import shorten

# types of lines that RTTM has
TYPES = "SPEAKER SEGMENT NOSCORE NO_RT_METADATA LEXEME NON-LEX NON-SPEECH FILLER EDIT SU IP CB A/P"


TYPES = frozenset(f"{TYPES} SPKR-INFO".split())


# what pandas reads as no value
NO_VALUE = (
    "#N/A #NA -1.#IND -1.#QNAN -NaN -nan 1.#IND 1.#QNAN <NA> N/A NA NULL NaN None n/a nan null"
)


NO_VALUE = frozenset(NO_VALUE.split())


NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"


def check_list(path: Path):
    """Check a list of recordings, one a line

    Raises
    ------
    ValueError
        If a line is empty, or cannot be a name.
    """
    _check_lines(path, _check_name)


def check_rttm(path: Path):
    """Check that pyannote.database reads all speaker turns of an RTTM file

    Raises
    ------
    ValueError
        If it would not: the message gives the line.
    """
    _check_lines(path, _check_turn)


def check_uem(path: Path):
    """Check that pyannote.database reads all regions of a UEM file

    Raises
    ------
    ValueError
        If it would not: the message gives the line.
    """
    _check_lines(path, _check_region)


def name_rule(name: str) -> str | None:
    """Rule that a name breaks, if pyannote.database would not read it as it is written

    >>> name_rule("NA")
    'something else than a word that tables read as no value'
    >>> name_rule("Nadia") is None
    True
    """
    if len(name.split()) != 1:
        return "one word, without spaces"
    if not name.isprintable() or '"' in name:
        return "printable characters, without quotation marks"
    return "something else than a word that tables read as no value" if name in NO_VALUE else None


def _check_lines(path: Path, check: Callable[[Sequence[str]], str | None]):
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} must be text in UTF-8 ({error}): convert it.") from error
    for number, line in enumerate(lines if lines != [""] else (), start=1):
        if not line.replace("\t", " ").isprintable() or '"' in line:
            rule = "printable characters, ordinary spaces, and no quotation mark"
        else:
            rule = check(line.split())
        if rule is not None:
            raise ValueError(
                f"{str(path)!r}, line {number}: it must have {rule}, found {shorten(line)}. "
                "Correct that line."
            )


def _check_name(fields: Sequence[str]) -> str | None:
    return None if len(fields) == 1 else "the name of one recording, without spaces"


def _check_turn(fields: Sequence[str]) -> str | None:
    """Rule that a line of an RTTM file does not follow"""
    if not fields:
        return None  # pandas skips it
    if fields[0] not in TYPES:
        return "a type of RTTM, such as SPEAKER, as first field"
    if len(fields) > 10:
        return "at most 10 fields, hence names without spaces"
    if len(fields) < 2 or fields[1] in NO_VALUE:
        return "the name of a recording as second field"
    times = fields[3:5]
    if fields[0] != "SPEAKER":
        valid = all(_is_number(time) or time in NO_VALUE for time in times)
        return None if valid else "numbers, or <NA>, as fields 4 and 5"
    if len(fields) < 8 or fields[7] in NO_VALUE:
        return "a speaker as field 8"
    if not all(map(_is_number, times)):
        return "numbers, start and duration in seconds, as fields 4 and 5"
    return "a duration that is not negative as field 5" if float(times[1]) < 0 else None


def _check_region(fields: Sequence[str]) -> str | None:
    """Rule that a line of a UEM file does not follow"""
    if not fields:
        return None  # pandas skips it
    if len(fields) != 4:
        return "4 fields: recording without spaces, channel, start, end"
    if fields[0] in NO_VALUE:
        return "the name of a recording as first field"
    if not all(map(_is_number, fields[2:])):
        return "numbers, start and end in seconds, as fields 3 and 4"
    start, end = map(float, fields[2:])
    return None if 0 <= start < end else "a positive start, and an end that is after it"


def _is_number(text: str) -> bool:
    return re.fullmatch(NUMBER, text) is not None


class Turn(NamedTuple):
    """Someone speaks, from `start` to `end`, in seconds"""

    start: float
    end: float
    speaker: str


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
