"""Merge training logs"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ..files.atomic import atomic_write


def merge_logs(paths: Iterable[Path], output: Path):
    """Merge the `metrics.csv` of consecutive attempts at one training

    Each attempt starts from the last checkpoint of the previous one: steps that both have logged
    are taken from the later attempt.

    Parameters
    ----------
    paths : iterable of Path
        In the order of attempts. Missing and empty files are ignored.
    output : Path
        File to write.
    """
    rows: list[dict[str, str]] = []
    for path in paths:
        if not path.is_file():
            continue
        with path.open(newline="", encoding="utf-8") as file:
            attempt = list(csv.DictReader(file))
        if attempt:
            start = int(attempt[0]["step"])
            rows = [row for row in rows if int(row["step"]) < start] + attempt
    names = sorted({name for row in rows for name in row})
    with atomic_write(output) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
