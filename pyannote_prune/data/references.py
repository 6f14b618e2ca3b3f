"""RTTM files, UEM files, and lists of recordings: one grammar to read, check and write them

There are three kinds of files, read with three degrees of care:

- references of protocols (`check_rttm`, `check_uem`, `check_list`), which pyannote.database reads
  with pandas: lines that it would misread or drop silently are refused;
- references of corpora (`read_rttm`, `read_uem`), which have comments and lines of other types;
- results of a pipeline (`read_results`), where names may have any character but space and tab.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..files.messages import shorten

T = TypeVar("T")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# types of lines that RTTM has
TYPES = _words(
    "SPEAKER SEGMENT NOSCORE NO_RT_METADATA LEXEME NON-LEX NON-SPEECH FILLER EDIT SU IP CB A/P "
    "SPKR-INFO"
)

# words that pandas reads as missing values
NO_VALUE = _words(
    "#N/A #NA -1.#IND -1.#QNAN -NaN -nan 1.#IND 1.#QNAN <NA> N/A NA NULL NaN None n/a nan null"
)

# numbers that pandas and Python read alike: no "1_000", no "inf"
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"

# positions of fields
TURN_URI, TURN_TIMES, TURN_SPEAKER = 1, slice(3, 5), 7
REGION_URI, REGION_TIMES = 0, slice(2, 4)

# rules that several readers have
TIMES_OF_TURN = "numbers, start and duration in seconds, as fields 4 and 5"
TIMES_OF_REGION = "numbers, start and end in seconds, as fields 3 and 4"
FIELDS_OF_REGION = "4 fields: recording without spaces, channel, start, end"

# decimals of times of corpora: a sample at 16 kHz lasts exactly 0.0000625 s
EXACT_DECIMALS = 7


class Turn(NamedTuple):
    """Speaker turn, from `start` to `end`, in seconds"""

    start: float
    end: float
    speaker: str


class BrokenRule(ValueError):
    """Rule that a line breaks"""


def check_list(path: Path) -> None:
    """Check a list of recordings, one per line

    Raises
    ------
    ValueError
        If a line is empty, or cannot be a name.
    """
    _parse(path, _protocol_lines(path), _check_name)


def check_rttm(path: Path) -> None:
    """Check that pyannote.database reads all speaker turns of an RTTM file

    Raises
    ------
    ValueError
        If it does not: the message gives the line.
    """
    _parse(path, _protocol_lines(path), _check_turn)


def check_uem(path: Path) -> None:
    """Check that pyannote.database reads all regions of a UEM file

    Raises
    ------
    ValueError
        If it does not: the message gives the line.
    """
    _parse(path, _protocol_lines(path), _check_region)


def read_rttm(path: Path) -> list[Turn]:
    """Read the speaker turns of one recording of a corpus

    The name of the file says which recording it is: names in its lines are ignored, and so are
    lines of other types than SPEAKER.

    Raises
    ------
    ValueError
        If a line is malformed. The message gives its number.
    """
    lines = _text(path, "download it again").splitlines()
    return _parse(path, lines, _corpus_turn, ", or download the file again")


def read_uem(path: Path) -> list[tuple[float, float]]:
    """Read the annotated regions of one recording of a corpus, in seconds

    Names in its lines and comments (";") are ignored.

    Raises
    ------
    ValueError
        If a line is malformed. The message gives its number.
    """
    lines = _text(path, "download it again").splitlines()
    return _parse(path, lines, _corpus_region, ", or download the file again")


def read_results(path: Path) -> list[Turn]:
    """Read the speaker turns that a pipeline has found in one recording

    Names are kept as they are: pandas would not read all of them.

    Raises
    ------
    ValueError
        If a line is malformed. The message gives its number.
    """
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        return _parse(path, lines, _result)


def name_rule(name: str) -> str | None:
    """Rule that a name breaks, if pyannote.database would read it as another one

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


def rttm_line(uri: str, turn: Turn, decimals: int = EXACT_DECIMALS) -> str:
    """Format a speaker turn as a line of RTTM

    Examples
    --------
    >>> print(rttm_line("ES2002a", Turn(1.0, 2.5, "FEE005")), end="")
    SPEAKER ES2002a 1 1.0000000 1.5000000 <NA> <NA> FEE005 <NA> <NA>
    """
    times = f"{turn.start:.{decimals}f} {turn.end - turn.start:.{decimals}f}"
    return f"SPEAKER {uri} 1 {times} <NA> <NA> {turn.speaker} <NA> <NA>\n"


def uem_line(uri: str, start: float, end: float, decimals: int = EXACT_DECIMALS) -> str:
    """Format an annotated region, in seconds, as a line of UEM

    Examples
    --------
    >>> print(uem_line("ES2002a", 0.0, 30.0, decimals=3), end="")
    ES2002a 1 0.000 30.000
    """
    return f"{uri} 1 {start:.{decimals}f} {end:.{decimals}f}\n"


def _text(path: Path, cure: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} must be text in UTF-8 ({error}): {cure}.") from error


def _parse(
    path: Path, lines: Iterable[str], parse: Callable[[str], T | None], cure: str = ""
) -> list[T]:
    """Parse each line, and leave out lines without value (None)"""
    values = []
    for number, line in enumerate(lines, start=1):
        try:
            value = parse(line)
        except BrokenRule as rule:
            raise ValueError(
                f"{str(path)!r}, line {number}: it must have {rule}, found {shorten(line)}. "
                f"Correct that line{cure}."
            ) from None
        if value is not None:
            values.append(value)
    return values


def _protocol_lines(path: Path) -> Sequence[str]:
    lines = _text(path, "convert it").removesuffix("\n").split("\n")
    return () if lines == [""] else lines


def _protocol_fields(line: str) -> list[str]:
    if not line.replace("\t", " ").isprintable() or '"' in line:
        raise BrokenRule("printable characters, ordinary spaces, and no quotation mark")
    return line.split()


def _check_name(line: str) -> None:
    if len(_protocol_fields(line)) != 1:
        raise BrokenRule("the name of one recording, without spaces")


def _check_turn(line: str) -> None:
    fields = _protocol_fields(line)
    if not fields:
        return  # pandas skips it
    if fields[0] not in TYPES:
        raise BrokenRule("a type of RTTM, such as SPEAKER, as first field")
    if len(fields) > 10:
        raise BrokenRule("at most 10 fields, hence names without spaces")
    if len(fields) <= TURN_URI or fields[TURN_URI] in NO_VALUE:
        raise BrokenRule("the name of a recording as second field")
    times = fields[TURN_TIMES]
    if fields[0] != "SPEAKER":
        if not all(_is_number(time) or time in NO_VALUE for time in times):
            raise BrokenRule("numbers, or <NA>, as fields 4 and 5")
        return
    if len(fields) <= TURN_SPEAKER or fields[TURN_SPEAKER] in NO_VALUE:
        raise BrokenRule("a speaker as field 8")
    if not all(map(_is_number, times)):
        raise BrokenRule(TIMES_OF_TURN)
    if float(times[1]) < 0:
        raise BrokenRule("a duration that is not negative as field 5")


def _check_region(line: str) -> None:
    fields = _protocol_fields(line)
    if not fields:
        return  # pandas skips it
    if len(fields) != 4:
        raise BrokenRule(FIELDS_OF_REGION)
    if fields[REGION_URI] in NO_VALUE:
        raise BrokenRule("the name of a recording as first field")
    if not all(map(_is_number, fields[REGION_TIMES])):
        raise BrokenRule(TIMES_OF_REGION)
    start, end = map(float, fields[REGION_TIMES])
    if not 0 <= start < end:
        raise BrokenRule("a positive start, and an end that is after it")


def _is_number(text: str) -> bool:
    return re.fullmatch(NUMBER, text) is not None


def _corpus_turn(line: str) -> Turn | None:
    fields = line.split()
    if fields[:1] != ["SPEAKER"]:
        return None
    # the last field, signal lookahead time, came later than the others
    if len(fields) not in (9, 10):
        raise BrokenRule("9 or 10 fields, hence names without spaces")
    start, duration = _times(fields[TURN_TIMES], TIMES_OF_TURN)
    return Turn(start, start + duration, fields[TURN_SPEAKER])


def _corpus_region(line: str) -> tuple[float, float] | None:
    fields = line.split()
    if not fields or fields[0].startswith(";"):
        return None
    if len(fields) != 4:
        raise BrokenRule(FIELDS_OF_REGION)
    start, end = _times(fields[REGION_TIMES], TIMES_OF_REGION)
    return start, end


def _result(line: str) -> Turn | None:
    # names may have spaces of other kinds
    fields = re.split("[ \t]+", line.strip(" \t\n"))
    if fields[0] != "SPEAKER":
        return None
    if len(fields) <= TURN_SPEAKER:
        raise BrokenRule("a speaker as field 8")
    start, duration = _times(fields[TURN_TIMES], TIMES_OF_TURN, finite=False)
    return Turn(start, start + duration, fields[TURN_SPEAKER])


def _times(fields: Sequence[str], rule: str, finite: bool = True) -> list[float]:
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise BrokenRule(rule) from None
    if finite and not all(map(math.isfinite, values)):
        raise BrokenRule(rule)
    return values
