"""Write the files of a protocol: lists, RTTM, UEM and `database.yml`"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.core import Annotation, Timeline

from ..files.folders import write_text, write_yaml
from .references import Turn, rttm_line, uem_line

# suffixes of text files, by their keys in `database.yml`
SUFFIXES = {"uri": "lst", "annotation": "rttm", "annotated": "uem"}


@dataclass(frozen=True)
class Reference:
    """Reference of one recording

    Parameters
    ----------
    turns : sequence of Turn
        Speaker turns.
    regions : sequence of (float, float)
        Start and end of annotated regions, in seconds.
    """

    turns: Sequence[Turn]
    regions: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, annotation: Annotation, annotated: Timeline) -> Reference:
        """Reference of objects of pyannote.core"""
        tracks = annotation.itertracks(yield_label=True)
        return cls(
            turns=[Turn(segment.start, segment.end, label) for segment, _, label in tracks],
            regions=[(segment.start, segment.end) for segment in annotated],
        )


def write_protocol(
    folder: Path,
    name: str,
    subsets: Mapping[str, Mapping[str, Reference]],
    scope: str = "file",
) -> Path:
    """Write the text files of a protocol whose audio is in the same folder, as WAV

    Parameters
    ----------
    folder : Path
    name : str
        Full name of the protocol: "Database.SpeakerDiarization.Protocol".
    subsets : dict of dict of Reference
        By subset, then by name of recording.
    scope : {"file", "database", "global"}, optional
        Where a speaker keeps the same name.

    Returns
    -------
    database : Path
        `database.yml`.
    """
    for subset, references in subsets.items():
        write_references(references, text_paths(folder, subset))
    database = folder / "database.yml"
    write_yaml(describe_protocol(name, subsets, scope), database)
    return database


def write_references(
    references: Mapping[str, Reference], paths: Mapping[str, Path], decimals: int = 3
) -> None:
    """Write the list, the RTTM and the UEM of a subset, each atomically

    Parameters
    ----------
    references : dict of Reference
        By name of recording.
    paths : dict of Path
        Files to write, by their keys in `database.yml`: see `text_paths`.
    decimals : int, optional
        Of times in seconds. Defaults to milliseconds.
    """
    lines = {
        "uri": [f"{uri}\n" for uri in references],
        "annotation": [
            rttm_line(uri, turn, decimals)
            for uri, reference in references.items()
            for turn in reference.turns
        ],
        "annotated": [
            uem_line(uri, start, end, decimals)
            for uri, reference in references.items()
            for start, end in reference.regions
        ],
    }
    for key, path in paths.items():
        write_text("".join(lines[key]), path)


def text_paths(folder: Path, subset: str) -> dict[str, Path]:
    """Text files of a subset, by their keys in `database.yml`

    >>> text_paths(Path("data"), "train")["annotation"].as_posix()
    'data/train.rttm'
    """
    return {key: folder / f"{subset}.{suffix}" for key, suffix in SUFFIXES.items()}


def describe_protocol(name: str, subsets: Iterable[str], scope: str = "file") -> dict[str, Any]:
    """Content of the `database.yml` of one protocol: see `write_protocol`"""
    database, task, protocol = name.split(".")
    content: dict[str, Any] = {"scope": scope}
    for subset in subsets:
        content[subset] = {key: f"{subset}.{suffix}" for key, suffix in SUFFIXES.items()}
    return {
        "Databases": {database: "{uri}.wav"},
        "Protocols": {database: {task: {protocol: content}}},
    }
