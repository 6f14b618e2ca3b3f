"""Load protocols of one `database.yml` alone, and find the files that describe them

pyannote.database (6.1) keeps everything that was loaded in one registry for the whole process, also
the `database.yml` of the current folder: a protocol that a file lacks would come from another one.

A protocol does not say which files describe its subsets. Reading its `database.yml` again would not
do: a protocol that a user passes to a task comes from any file, or from none. This file is the only
one that relies on how pyannote.database 6.1 makes protocols of a `database.yml`:

- `train_iter` of an ordinary protocol is `subset_iter` with all of its arguments as keywords
  (`functools.partialmethod`);
- `train_iter` of a compound protocol (`X`) is `meta_subset_iter`, whose fifth argument has the
  names and subsets of its parts (`functools.partial`).

`tests/data/test_databases.py` fails if either changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyannote.database import Preprocessors, Protocol, ProtocolFile, registry
from pyannote.database.custom import meta_subset_iter
from pyannote.database.registry import Registry

from .subsets import SUBSETS

# keywords of `subset_iter`
ARGUMENTS = ("database", "subset", "entries", "database_yml")


class Databases(Registry):
    """Registry whose compound protocols (`X`) are made of its own protocols"""

    def get_protocol(self, name: str, preprocessors: Preprocessors | None = None) -> Protocol:
        """Protocol of that name: see `pyannote.database.registry.get_protocol`"""
        protocol = super().get_protocol(name, preprocessors=preprocessors)
        for subset in SUBSETS:
            method = getattr(protocol, f"{subset}_iter", None)
            if _is_compound(method):
                parts = partial(_iterate_parts, self, _entries(method))
                setattr(protocol, f"{subset}_iter", parts)
        return protocol


def load_database(path: Path) -> Databases:
    """Load a `database.yml`, and the files in its `Requirements`"""
    databases = Databases()
    databases.load_database(path)
    return databases


@dataclass(frozen=True)
class Described:
    """Subset that a `database.yml` describes

    Parameters
    ----------
    database, subset : str
        Name of the database, and "train", "development" or "test".
    entries : dict
        Content of that subset in `database.yml`: names of files.
    database_yml : Path
    method : callable
        List the recordings of the subset.
    """

    database: str
    subset: str
    entries: Mapping[str, Any]
    database_yml: Path
    method: Callable[..., Iterator[ProtocolFile]]

    def iterate(self, leave_out: Collection[str] = ()) -> Iterator[ProtocolFile]:
        """List recordings without some of their files, which are not read"""
        entries = {key: name for key, name in self.entries.items() if key not in leave_out}
        return self.method(entries=entries)


def described_parts(protocol: Protocol, subset: str) -> Iterator[Described | None]:
    """Subsets that a subset is made of: several for a compound protocol

    Yields
    ------
    part : Described or None
        None for a part that is defined by code, not by a `database.yml`.
    """
    for method in _ordinary(getattr(protocol, f"{subset}_iter", None)):
        given = getattr(method, "keywords", {})
        if method is None or not given.keys() >= {*ARGUMENTS}:
            yield None
        else:
            yield Described(method=method, **{key: given[key] for key in ARGUMENTS})


def _ordinary(method: Callable | None) -> Iterator[Callable | None]:
    """Methods of ordinary protocols that a method calls, at any depth"""
    if _is_compound(method):  # of the registry of the whole process
        parts = _parts(registry, _entries(method))
    elif isinstance(method, partial) and method.func is _iterate_parts:
        parts = _parts(*method.args)
    else:
        yield method
        return
    for part in parts:
        yield from _ordinary(part)


def _is_compound(method: Callable | None) -> bool:
    return getattr(method, "func", None) is meta_subset_iter


def _entries(method: Any) -> Mapping[str, list[str]]:
    """Subsets of other protocols that a compound one is made of"""
    return method.args[4]


def _iterate_parts(databases: Registry, entries: Mapping[str, list[str]]) -> Iterator[ProtocolFile]:
    for method in _parts(databases, entries):
        yield from method()


def _parts(databases: Registry, entries: Mapping[str, list[str]]) -> Iterator[Callable]:
    for name, subsets in entries.items():
        try:
            protocol = databases.get_protocol(name)
        except (AttributeError, KeyError, ValueError) as error:
            raise ValueError(
                "Compound protocols must be made of protocols of their `database.yml`, or of its "
                f"`Requirements`, found {name!r}: correct the name, or add that protocol."
            ) from error
        for subset in subsets:
            yield getattr(protocol, f"{subset}_iter")
