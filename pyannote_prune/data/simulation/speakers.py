"""Share speakers among subsets: different ones, or different recordings of the same ones"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ...files.folders import write_text
from ...files.messages import did_you_mean, shorten
from ..audio_files import name_of
from ..subsets import SUBSETS
from .voices import SHARES, Excerpt, split

Voices = Mapping[str, Sequence[Excerpt]]

# what `speakers` may be
CHOICES = ("apart", "shared")

# file of the folder with the speakers of each subset
TABLE = "speakers.csv"

# shares of speakers, or of the recordings of each
WEIGHTS = {"train": 1.0 - sum(SHARES.values()), **SHARES}


@dataclass(frozen=True)
class Assignment:
    """Speakers of each subset

    Parameters
    ----------
    speakers : {"apart", "shared"}
        Whether subsets have different speakers. Those that are named for tests are apart anyway.
    subsets : dict of dict of list of Excerpt
        Recordings, by subset, then by speaker.
    reason : str
        Why speakers are shared.
    """

    speakers: str
    subsets: dict[str, dict[str, list[Excerpt]]]
    reason: str = ""

    @property
    def description(self) -> str:
        """One line for users"""
        numbers = ", ".join(f"{len(voices)} {subset}" for subset, voices in self.subsets.items())
        if self.speakers == "apart":
            return f"Speakers apart: {numbers}"
        # not by tests that have speakers of their own
        shared = [
            name for name, found in self.subsets.items() if found.keys() & self.subsets["train"]
        ]
        who = f"{', '.join(shared[:-1])} and {shared[-1]}"
        return f"Speakers shared by {who}, in different recordings ({self.reason}): {numbers}"

    def write(self, folder: Path) -> None:
        """Write TABLE: subset, speaker, number of recordings"""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["subset", "speaker", "recordings"])
        for subset, voices in self.subsets.items():
            rows.writerows([subset, name, len(voices[name])] for name in sorted(voices))
        write_text(text.getvalue(), folder / TABLE)


def assign(
    voices: Voices,
    max_speakers: int,
    subsets: Collection[str],
    speakers: str | None = None,
    test_speakers: Sequence[str] = (),
) -> Assignment:
    """Choose the speakers of each subset

    A subset needs `max_speakers` of them. If there are enough for all three, speakers keep their
    subset whatever `subsets`: their order is that of digests of their names. Tests have a fifth of
    them, development has a tenth, or as many as they need.

    Parameters
    ----------
    voices : dict of list of Excerpt
        Recordings of each speaker.
    max_speakers : int
        Largest number of speakers of a conversation.
    subsets : collection of str
        Subsets that have conversations. If there are only enough speakers for these, others have
        none.
    speakers : {"apart", "shared"}, optional
        Whether subsets have different speakers, or different recordings of the same ones. Defaults
        to "apart" if there are enough.
    test_speakers : sequence of str, optional
        Speakers for tests, where there are no others. The other subsets share the others.

    Raises
    ------
    ValueError
        If there are too few speakers, or if those who are shared have too few recordings.
    """
    for name in test_speakers:
        if name not in voices:
            _refuse_unknown(name, voices)
    named = {name: list(voices[name]) for name in voices if name in set(test_speakers)}
    others = {name: list(found) for name, found in voices.items() if name not in named}
    free = [subset for subset in SUBSETS if not (named and subset == "test")]
    _check_numbers(named, others, free, max_speakers, subsets)
    is_enough = len(others) >= max_speakers * len(free)
    asked = free if is_enough else [subset for subset in free if subset in subsets]
    needed = max_speakers * len(asked)
    if speakers == "apart" and len(others) < needed:
        raise ValueError(
            f"`speakers` can be 'apart' with {needed} speakers at least{_besides(named)}, "
            f"{max_speakers} (`max_speakers`) for each of {', '.join(asked)}, found {len(others)}: "
            "give more of them, lower `max_speakers`, or choose 'shared'."
        )
    if not others or (speakers != "shared" and len(others) >= needed):
        shares, reason = _share(others, asked, max_speakers), ""
    else:
        enough = f"{needed} speakers{_besides(named)}, {max_speakers} for each"
        shares = _split(others, free, enough)
        reason = "as asked" if speakers else f"apart takes {enough}, found {len(others)}"
    if named:
        shares["test"] = named
    found = {subset: shares[subset] for subset in SUBSETS if shares.get(subset)}
    return Assignment("shared" if reason else "apart", found, reason)


def _check_numbers(
    named: Voices, others: Voices, free: Sequence[str], max_speakers: int, subsets: Collection[str]
) -> None:
    if named and "test" in subsets and len(named) < max_speakers:
        raise ValueError(
            f"`test_speakers` must be `max_speakers` ({max_speakers}) at least, found {len(named)} "
            f"({shorten(list(named))}): name more of them, or lower `max_speakers`."
        )
    if set(free) & set(subsets) and len(others) < max_speakers:
        raise ValueError(
            f"`max_speakers` must be at most the number of speakers of `voices`{_besides(named)}, "
            f"found {max_speakers} and {len(others)} ({shorten(list(others))}): lower it, or give "
            "more of them."
        )


def _besides(named: Voices) -> str:
    return " besides `test_speakers`" if named else ""


def _share(
    voices: dict[str, list[Excerpt]], subsets: Sequence[str], max_speakers: int
) -> dict[str, dict[str, list[Excerpt]]]:
    """Share different speakers: the subset of most speakers has those that others leave"""
    if not subsets:
        return {}
    # an order without meaning, that no other option changes
    order = sorted(voices, key=lambda name: hashlib.sha256(name.encode()).digest())
    total = sum(WEIGHTS[subset] for subset in subsets)
    largest = max(subsets, key=lambda subset: WEIGHTS[subset])
    shares = {}
    for subset in subsets:
        if subset != largest:
            number = max(max_speakers, round(len(voices) * WEIGHTS[subset] / total))
            chosen, order = order[:number], order[number:]
            shares[subset] = {name: voices[name] for name in sorted(chosen)}
    shares[largest] = {name: voices[name] for name in sorted(order)}
    return shares


def _split(
    voices: dict[str, list[Excerpt]], subsets: Sequence[str], enough: str
) -> dict[str, dict[str, list[Excerpt]]]:
    """Share different recordings of each speaker"""
    try:
        return {
            subset: {name: split(found, subset) for name, found in voices.items()}
            for subset in subsets
        }
    except ValueError as error:
        raise ValueError(f"{error} Or keep subsets apart: that takes {enough}.") from error


def select_speakers(choices: Iterable[str], voices: Voices) -> tuple[str, ...]:
    """Select speakers by name, by pattern, or by a text file

    Parameters
    ----------
    choices : iterable of str
        Each is the name of a speaker, a text file with one choice a line, or a pattern: `*` stands
        for anything.
    voices : dict of list of Excerpt
        Recordings of each speaker.

    Returns
    -------
    names : tuple of str
        In alphabetical order.

    Raises
    ------
    ValueError
        If there is no such speaker.
    OSError
        If the file cannot be read.

    >>> select_speakers(["a*", "Bo Li"], {"ann": [], "al": [], "Bo_Li": [], "cy": []})
    ('Bo_Li', 'al', 'ann')
    """
    names: set[str] = set()
    for choice in choices:
        if not (found := _match(choice, voices)) and Path(choice).is_file():
            found = _read_list(Path(choice), voices)
        if not found:
            _refuse_unknown(choice, voices)
        names |= found
    return tuple(sorted(names))


def _match(choice: str, voices: Voices) -> set[str]:
    name = name_of(choice)
    return {name} & voices.keys() or {one for one in voices if fnmatchcase(one, name)}


def _read_list(path: Path, voices: Voices) -> set[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} must be text in UTF-8 ({error}): convert it.") from error
    names: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = _match(line, voices)
            if not found:
                _refuse_unknown(line.strip(), voices, f"{path}, line {number}: ")
            names |= found
    return names


def _refuse_unknown(name: str, voices: Voices, place: str = "") -> None:
    raise ValueError(
        f"{place}`test_speakers` must be speakers of `voices`, found {shorten(name)}"
        f"{did_you_mean(name, voices)}: there are {shorten(sorted(voices))}."
    )
