"""Help for those who misspell"""

from collections.abc import Iterable
from difflib import get_close_matches

from .shorten import spell


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """End of a sentence that names the closest of `words`, or nothing

    >>> did_you_mean("basse", ["base", "large"])
    " (did you mean 'base'?)"
    >>> did_you_mean("xyz", ["base", "large"])
    ''
    """
    matches = get_close_matches(spell(word), list(words), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
