"""What tables are measured on: models and recordings that users give"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...files.clutter import files_of

# bytes that are read at once
BLOCK = 1 << 20


@dataclass(frozen=True)
class Inputs:
    """Models and recordings to measure on. Tables whose inputs are missing are left out

    Parameters
    ----------
    voices : Path, optional
        Recordings of single speakers (see `pyannote_prune.data.simulation`).
    test_speakers : tuple of str, optional
        Names of speakers for tests alone: see `Simulation`.
    checkpoint : Path, optional
        Trained model of this package.
    segmentation, embedding, plda, threshold, min_cluster_size : optional
        See `pyannote_prune.benchmark.diarization.parts.Parts`.
    database : Path, optional
        `database.yml`.
    protocol : str, optional
        Protocol that it defines, with references.
    subset : {"train", "development", "test"}, optional
        Subset of this protocol. Defaults to "test".
    other_database, other_protocol : Path and str, optional
        Protocol of another domain: see `pyannote_prune.benchmark.accuracy.Experiment`.

    Raises
    ------
    ValueError
        If a protocol is given without its database, or a database without a protocol.
    """

    voices: Path | None = None
    test_speakers: tuple[str, ...] = ()
    checkpoint: Path | None = None
    segmentation: str | None = None
    embedding: Path | None = None
    plda: Path | None = None
    threshold: float | None = None
    min_cluster_size: int | None = None
    database: Path | None = None
    protocol: str | None = None
    subset: str = "test"
    other_database: Path | None = None
    other_protocol: str | None = None

    def __post_init__(self):
        for prefix in ("", "other-"):
            names = (f"{prefix}database", f"{prefix}protocol")
            given = [name for name in names if getattr(self, name.replace("-", "_")) is not None]
            if len(given) == 1:
                one, other = (f"`--{name}`" for name in names)
                raise ValueError(f"{one} and {other} go together, found only `--{given[0]}`.")

    def describe(self, names: Iterable[str]) -> dict[str, Any]:
        """Describe some inputs as plain values, the same ones on all machines

        Files and folders are their name, and the hash of their contents.

        Raises
        ------
        OSError
            If one of them cannot be read.
        """
        found = {name: getattr(self, name) for name in names}
        if (name := found.get("segmentation")) is not None and Path(name).exists():
            found["segmentation"] = Path(name)
        return {name: _describe(value) for name, value in found.items()}


def _describe(value: Any) -> Any:
    if not isinstance(value, Path):
        return value
    path = value.resolve()
    return {"name": path.name, "content": hash_contents(path)}


@lru_cache(maxsize=32)
def hash_contents(path: Path) -> str:
    """Hash a file, or the files of a folder and their names"""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(files_of(path)) if path.is_dir() else [path]:
        if file != path:
            digest.update(file.relative_to(path).as_posix().encode(errors="surrogateescape"))
        with open(file, "rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
