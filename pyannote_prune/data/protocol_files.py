"""Recordings of a protocol, and the text files that describe them"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.core import Annotation, Timeline
from pyannote.database import Protocol, ProtocolFile
from pyannote.database.custom import resolve_path

from ..files.messages import shorten
from ..files.schema import refuse
from .databases import parts_of
from .references import check_list, check_rttm, check_uem

CHECKS = {".rttm": check_rttm, ".uem": check_uem}


# keys of a recording that say what is right
REFERENCES = ("annotation", "annotated")


# key of a recording whose references were left out: why
WRONG_REFERENCE = "wrong_reference"


@dataclass(frozen=True)
class TextFile:
    """Text file that `database.yml` names

    Parameters
    ----------
    key : {"uri", "annotation", "annotated"}
    name : str
        Without placeholders.
    database : Path
        `database.yml`.
    uris : tuple of str
        Recordings that it describes.
    is_template : bool
        Whether there is one such file per recording.
    """

    key: str
    name: str
    database: Path
    uris: tuple[str, ...] = ()
    is_template: bool = False

    @property
    def path(self) -> Path:
        return resolve_path(Path(self.name), self.database)

    def check(self):
        """Check all lines, if its format is a known one

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If pyannote.database would misread a line: the message gives file and line.
        """
        path = self.path
        check = check_list if self.key == "uri" else CHECKS.get(path.suffix)
        if check is not None:
            check(path)


def text_files(protocol: Protocol, subset: str) -> Iterator[TextFile]:
    """Text files of a subset. None for protocols that are defined by code"""
    for method in _methods(protocol, subset):
        yield from _text_files(method)


def list_recordings(protocol: Protocol, subset: str) -> list[ProtocolFile]:
    """Recordings of a subset, also of those whose references cannot be read

    Parameters
    ----------
    protocol : Protocol
    subset : {"train", "development", "test"}

    Returns
    -------
    recordings : list of ProtocolFile
        Where references are malformed, or missing for that recording alone, they are left out:
        "wrong_reference" says why.

    Raises
    ------
    OSError
        If a file that describes several recordings cannot be found.
    """
    methods = [*_methods(protocol, subset)]
    if not all(hasattr(method, "keywords") for method in methods):
        return list(getattr(protocol, subset)())
    recordings = []
    for method in methods:
        wrong = _wrong_references(method)
        faults = {uri: fault for text, fault in reversed(wrong) for uri in text.uris}
        whole = {text.key for text, _ in wrong if not text.is_template}
        for file in _iterate(method, leave_out=whole):
            recordings.append(_preprocess(protocol, file, faults.get(file["uri"])))
    return recordings


def without_references(file: Mapping[str, Any]) -> Mapping[str, Any]:
    """Same recording, without its references: they are not even read"""
    if not isinstance(file, ProtocolFile):
        return {key: value for key, value in file.items() if key not in REFERENCES}
    precomputed, lazy = abs(file), dict(file.lazy)
    for key in REFERENCES:
        precomputed.pop(key, None)
        lazy.pop(key, None)
    return ProtocolFile(precomputed, lazy=lazy)


def reference_of(file: Mapping[str, Any]) -> tuple[Annotation, Timeline] | None:
    """What the diarization of a recording is to be compared with

    Returns
    -------
    annotation, annotated : Annotation and Timeline, or None
        Speaker turns, and the regions where they are annotated. None if there is no reference.

    Raises
    ------
    ValueError
        If the reference is malformed, or has no speaker turn: no error rate would mean anything.
    """
    if WRONG_REFERENCE in file:
        raise ValueError(file[WRONG_REFERENCE])
    annotation = file.get("annotation")
    if annotation is None:
        return None
    if not isinstance(annotation, Annotation):
        refuse("annotation", "a file with speaker turns, such as RTTM", annotation)
    regions = file["annotated"]
    if not annotation.crop(regions):
        raise ValueError(
            f"the reference of {file['uri']!r} must have speaker turns in its annotated regions, "
            "found none: compare names in the list, in RTTM and in UEM."
        )
    return annotation, regions


def _methods(protocol: Protocol, subset: str) -> Iterator[Callable]:
    """What lists the recordings of a subset: several methods for compound protocols"""
    yield from _simple(getattr(protocol, f"{subset}_iter", None))


def _simple(method: Callable | None) -> Iterator[Callable]:
    parts = parts_of(method)
    if parts is None:
        yield method
        return
    for part in parts:
        yield from _simple(part)


def _text_files(method: Callable) -> Iterator[TextFile]:
    given = getattr(method, "keywords", {})
    entries, database = given.get("entries", {}), given.get("database_yml")
    uris: tuple[str, ...] = ()
    for key in ("uri", *REFERENCES):
        if key not in entries:
            continue
        name = entries[key]
        if not isinstance(name, str):
            found = f"`{key}` of the {given['subset']} set"
            raise ValueError(f"{database}: {found} must be a file name, found {shorten(name)}.")
        if key == "uri":
            text = TextFile(key, name, database)
            yield text
            uris = tuple(text.path.read_text(encoding="utf-8").split())
            continue
        is_template = "{" in name
        for some in [(uri,) for uri in uris] if is_template else [uris]:
            values = {"database": given["database"], "subset": given["subset"]}
            values |= {"uri": some[0]} if is_template else {}
            yield TextFile(key, name.format(**values), database, some, is_template)


def _wrong_references(method: Callable) -> list[tuple[TextFile, str]]:
    """References that cannot be read, and why"""
    wrong = []
    for text in _text_files(method):
        if text.key not in REFERENCES:
            continue
        try:
            text.check()
        except ValueError as error:
            wrong.append((text, str(error)))
        except OSError as error:
            if not text.is_template:
                raise
            wrong.append((text, str(error)))
    return wrong


def _iterate(method: Callable, leave_out: set[str]) -> Iterator[ProtocolFile]:
    """Recordings, without some of the files of `database.yml`, which may not even be parsed"""
    entries = method.keywords["entries"]
    entries = {key: name for key, name in entries.items() if key not in leave_out}
    yield from method.func(*method.args, **method.keywords | {"entries": entries})


def _preprocess(protocol: Protocol, file: ProtocolFile, fault: str | None) -> ProtocolFile:
    """Recording as its protocol gives it, without its references if something is wrong"""
    if fault is None:
        try:
            return protocol.preprocess(file)
        # loaders of references have errors of their own
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
    found = protocol.preprocess(without_references(file))
    found[WRONG_REFERENCE] = fault
    return found
