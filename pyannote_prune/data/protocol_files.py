"""Recordings of a protocol, and the text files that describe them"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.core import Annotation, Timeline
from pyannote.database import Protocol, ProtocolFile
from pyannote.database.custom import resolve_path

from ..files.messages import shorten
from ..files.schema import refuse
from .databases import Described, described_parts
from .references import check_list, check_rttm, check_uem

CHECKS = {".rttm": check_rttm, ".uem": check_uem}

# keys of the references of a recording
REFERENCES = ("annotation", "annotated")

# key of the reason why references of a recording were left out
WRONG_REFERENCE = "wrong_reference"


@dataclass(frozen=True)
class TextFile:
    """Text file of a subset, named in its `database.yml`

    Parameters
    ----------
    key : {"uri", "annotation", "annotated"}
    name : str
        Name in `database.yml`, without placeholders.
    database : Path
        `database.yml`.
    uris : tuple of str
        Names of the recordings in that file.
    is_template : bool
        Whether there is one file per recording.
    """

    key: str
    name: str
    database: Path
    uris: tuple[str, ...] = ()
    is_template: bool = False

    @property
    def path(self) -> Path:
        return resolve_path(Path(self.name), self.database)

    def check(self) -> None:
        """Check all lines of a list, an RTTM or a UEM file: other formats are not checked

        Raises
        ------
        OSError
            If the file does not exist.
        ValueError
            If pyannote.database would misread a line: the message gives file and line.
        """
        path = self.path
        check = check_list if self.key == "uri" else CHECKS.get(path.suffix)
        if check is not None:
            check(path)


def text_files(protocol: Protocol, subset: str) -> Iterator[TextFile]:
    """List the text files of a subset: none for a protocol that is defined by code"""
    for part in described_parts(protocol, subset):
        if part is not None:
            yield from _text_files(part)


def list_recordings(protocol: Protocol, subset: str) -> list[ProtocolFile]:
    """Recordings of a subset, including those whose references cannot be read

    Parameters
    ----------
    protocol : Protocol
    subset : {"train", "development", "test"}

    Returns
    -------
    recordings : list of ProtocolFile
        References that are malformed, or missing for one recording alone, are left out: the key
        "wrong_reference" has the reason.

    Raises
    ------
    OSError
        If the file of several recordings cannot be found.
    """
    recordings = []
    for part in [*described_parts(protocol, subset)]:
        if part is None:
            return list(getattr(protocol, subset)())
        wrong = _wrong_references(part)
        faults = {uri: fault for text, fault in reversed(wrong) for uri in text.uris}
        unreadable = {text.key for text, _ in wrong if not text.is_template}
        for file in part.iterate(leave_out=unreadable):
            recordings.append(_preprocess(protocol, file, faults.get(file["uri"])))
    return recordings


def without_references(file: Mapping[str, Any]) -> Mapping[str, Any]:
    """Same recording without its references, which are not read"""
    if not isinstance(file, ProtocolFile):
        return {key: value for key, value in file.items() if key not in REFERENCES}
    return _without_references(file)


def _without_references(file: ProtocolFile) -> ProtocolFile:
    precomputed, lazy = abs(file), dict(file.lazy)
    for key in REFERENCES:
        precomputed.pop(key, None)
        lazy.pop(key, None)
    return ProtocolFile(precomputed, lazy=lazy)


def may_have_reference(file: Mapping[str, Any]) -> bool:
    """Whether a recording has a reference, or one that cannot be read"""
    try:
        return WRONG_REFERENCE in file or file.get("annotation") is not None
    # loaders raise errors of any kind: `reference_of` raises them again
    except Exception:
        return True


def reference_of(file: Mapping[str, Any]) -> tuple[Annotation, Timeline] | None:
    """Reference of a recording

    Returns
    -------
    annotation, annotated : Annotation and Timeline, or None
        Speaker turns, and annotated regions. None if there is no reference.

    Raises
    ------
    ValueError
        If the reference is malformed, or has no speaker turn: an error rate would be meaningless.
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


def _text_files(part: Described) -> Iterator[TextFile]:
    uris: tuple[str, ...] = ()
    for key in ("uri", *REFERENCES):
        if key not in part.entries:
            continue
        name, database = part.entries[key], part.database_yml
        if not isinstance(name, str):
            found = f"`{key}` of the {part.subset} set"
            raise ValueError(f"{database}: {found} must be a file name, found {shorten(name)}.")
        if key == "uri":
            text = TextFile(key, name, database)
            yield text
            uris = tuple(text.path.read_text(encoding="utf-8").split())
        elif "{" in name:
            for uri in uris:
                values = {"database": part.database, "subset": part.subset, "uri": uri}
                yield TextFile(key, name.format(**values), database, (uri,), is_template=True)
        else:
            yield TextFile(key, name, database, uris)


def _wrong_references(part: Described) -> list[tuple[TextFile, str]]:
    """References that cannot be read, and why"""
    wrong = []
    for text in _text_files(part):
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


def _preprocess(protocol: Protocol, file: ProtocolFile, fault: str | None) -> ProtocolFile:
    """Apply the preprocessors of a protocol, without references if one of them cannot be read"""
    if fault is None:
        try:
            return protocol.preprocess(file)
        # loaders raise errors of any kind
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
    found = protocol.preprocess(_without_references(file))
    found[WRONG_REFERENCE] = fault
    return found
