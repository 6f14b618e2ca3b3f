"""Read TextGrid files of Praat

praatio (6.2) refuses a whole file for one interval without duration, or for two intervals that
overlap: both are frequent mistakes of annotators, and the rest of the file is valid.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..references import Turn

# As in Praat, only free-standing numbers and quoted strings count, in order, not the text between
# them: the long format and the short one are the same.
TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)')


def read_textgrid(path: Path) -> list[Turn]:
    """Read speaker turns: one tier per speaker, where intervals with some text are speech

    Parameters
    ----------
    path : Path
        Long or short text format, in UTF-8 or UTF-16.

    Returns
    -------
    turns : list of Turn
        In order of the file: some may overlap, or have no duration.

    Raises
    ------
    ValueError
        If the file has another format.
    """
    try:
        return _parse(_decode(path.read_bytes()))
    except (StopIteration, ValueError) as error:
        raise ValueError(
            f"A reference must be a TextGrid saved as text, found {str(path)!r}, which is damaged "
            "or something else: download it again."
        ) from error


def _decode(content: bytes) -> str:
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")


def _parse(text: str) -> list[Turn]:
    tokens = TOKEN.finditer(text)

    def take(kinds: str) -> list[str]:
        """Next values, as text, of these kinds: "s" for a string, "n" for a number"""
        matches = [next(tokens) for _ in kinds]
        if any(
            (match[1] is None) != (kind == "n") for match, kind in zip(matches, kinds, strict=True)
        ):
            raise ValueError(f"{[match[0] for match in matches]} instead of {kinds}")
        return [m[1].replace('""', '"') if m[1] is not None else m[2] for m in matches]

    if take("ss") != ["ooTextFile", "TextGrid"]:
        raise ValueError("another kind of file")
    *_, num_tiers = take("nnn")
    turns = []
    for _ in range(int(float(num_tiers))):
        kind, speaker, _, _, num_entries = take("ssnnn")
        for _ in range(int(float(num_entries))):
            if kind == "TextTier":
                take("ns")
                continue
            start, end, label = take("nns")
            if label.strip():
                turns.append(Turn(float(start), float(end), speaker.strip()))
    return turns
