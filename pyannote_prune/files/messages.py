"""Parts of messages: bounded values, suggestions"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 300  # characters


class _Short(reprlib.Repr):
    """Bounded at all levels: nested aliases of YAML can stand for billions of items"""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 16
        self.maxstring = self.maxother = 120
        self.maxlong = 60

    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to write integers of more than 4300 digits
        digits = value.bit_length() // 3.33
        return super().repr_int(value, level) if digits < 4000 else f"{digits:.0f} digits"


_short = _Short()


def shorten(value: object) -> str:
    """Bounded `repr(value)`

    >>> shorten(["short"])
    "['short']"
    >>> shorten("x" * 1_000_000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
    """
    text = _short.repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def printable(name: object) -> str:
    r"""Convert the name of a key to printable characters, without quotes

    >>> printable("é\n")
    'é\\n'
    >>> printable(42)
    '42'
    """
    return shorten(name if isinstance(name, str) else shorten(name))[1:-1]


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """Suggest the closest of `words`, to end a sentence

    >>> did_you_mean("basse", ["base", "large"])
    " (did you mean 'base'?)"
    >>> did_you_mean("xyz", ["base", "large"])
    ''
    """
    matches = get_close_matches(printable(word), list(words), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
