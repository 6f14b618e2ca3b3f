"""Remove results whose source was replaced in the meantime"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from .atomic import atomic_write


class Stamp(NamedTuple):
    """Name, size and time of a file, which differ for a file that replaces it

    Parameters
    ----------
    file : str
        Its name.
    size : int
        In bytes.
    modified : int
        Time of the last change, in nanoseconds.
    """

    file: str
    size: int
    modified: int


def remove_replaced(
    record: Path, sources: Mapping[str, Path], results: Mapping[str, Sequence[Path]]
) -> list[str]:
    """Remove results whose source was replaced, and record the present sources

    Results of sources that no longer exist are kept. Where there is no record, results that are
    older than their source are removed.

    Parameters
    ----------
    record : Path
        CSV file of sources.
    sources : dict of Path
        By name.
    results : dict of list of Path
        Files made from each source, by the same names. The first one is written last: it exists
        if all of them do.

    Returns
    -------
    replaced : list of str
        Names of sources whose results were removed.
    """
    known, now = _read(record), {}
    for name, path in sources.items():
        if path.is_file():
            status = path.stat()
            now[name] = Stamp(path.name, status.st_size, status.st_mtime_ns)
    replaced = [
        name
        for name, stamp in now.items()
        if results[name][0].is_file() and _is_replaced(stamp, known.get(name), results[name][0])
    ]
    for name in replaced:
        for path in results[name]:
            path.unlink(missing_ok=True)
    # after removal: an interrupted call finds the remaining results again
    if known | now != known:
        _write(record, known | now)
    return replaced


def _is_replaced(stamp: Stamp, known: Stamp | None, result: Path) -> bool:
    return stamp.modified > result.stat().st_mtime_ns if known is None else stamp != known


def _read(record: Path) -> dict[str, Stamp]:
    if not record.is_file():
        return {}
    try:
        with _open(record, "r") as lines:
            rows = [*csv.DictReader(lines)]
        return {r["name"]: Stamp(r["file"], int(r["size"]), int(r["modified"])) for r in rows}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{str(record)!r} must have a name, a file, a size and a time per line "
            f"({type(error).__name__}: {error}): remove it, or choose another folder."
        ) from error


def _write(record: Path, stamps: Mapping[str, Stamp]) -> None:
    with atomic_write(record) as draft, _open(draft, "w") as file:
        writer = csv.writer(file)
        writer.writerow(("name", *Stamp._fields))
        # the same file, whichever process has added which
        writer.writerows((name, *stamps[name]) for name in sorted(stamps))


def _open(path: Path, mode: Literal["r", "w"]) -> TextIO:
    # names of files may have bytes that are no text
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")
