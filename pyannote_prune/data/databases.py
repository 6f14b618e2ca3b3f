"""Databases of one `database.yml`, apart from all others

pyannote.database keeps everything that was loaded in one registry for the whole process, also the
`database.yml` of the current folder: a protocol that a file lacks would come from another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from pyannote.database import Preprocessors, Protocol, ProtocolFile, registry
from pyannote.database.custom import meta_subset_iter
from pyannote.database.registry import Registry

from .subsets import SUBSETS


class Databases(Registry):
    """Registry whose compound protocols (`X`) are made of its own protocols"""

    def get_protocol(self, name: str, preprocessors: Preprocessors | None = None) -> Protocol:
        """Protocol of that name: see `pyannote.database.registry.get_protocol`"""
        protocol = super().get_protocol(name, preprocessors=preprocessors)
        for subset in SUBSETS:
            method = getattr(protocol, f"{subset}_iter", None)
            if _is_compound(method):
                parts = partial(_recordings, self, method.args[4])
                setattr(protocol, f"{subset}_iter", parts)
        return protocol


def load_database(path: Path) -> Databases:
    """Load a `database.yml`, and what it requires"""
    databases = Databases()
    databases.load_database(path)
    return databases


def parts_of(method: Callable | None) -> list[Callable] | None:
    """Methods of other protocols that list the recordings of a compound one. None for others"""
    if _is_compound(method):  # of the registry of the whole process
        return list(_parts(registry, method.args[4]))
    if getattr(method, "func", None) is _recordings:
        return list(_parts(*method.args))
    return None


def _is_compound(method: Callable | None) -> bool:
    return getattr(method, "func", None) is meta_subset_iter


def _recordings(databases: Registry, entries: Mapping[str, list]) -> Iterator[ProtocolFile]:
    for method in _parts(databases, entries):
        yield from method()


def _parts(databases: Registry, entries: Mapping[str, list]) -> Iterator[Callable]:
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
