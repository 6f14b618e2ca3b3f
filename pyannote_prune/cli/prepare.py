"""Command `prepare`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from ..data.corpora import preparation
from ..data.corpora.layouts import CORPORA, Corpus
from ..data.corpora.summary import Summary
from .errors import console, print_line, resumable, run_in


@run_in(resumable)
def prepare(
    corpus: Annotated[Corpus, typer.Argument(help="Corpus to prepare.", show_default=False)],
    source: Annotated[
        Path, typer.Argument(help="Folder of the extracted archives.", file_okay=False)
    ],
    output: Annotated[
        Path, typer.Argument(help="Output folder, next to your database.yml.", file_okay=False)
    ] = Path("data"),
):
    """
    Prepare a CORPUS of the paper for training, from its official files (SOURCE)

    Writes the first channel as WAV, lists, RTTM and UEM, which your database.yml refers to. Run the
    same command again to resume.
    """
    layout = CORPORA[corpus]
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task("Recordings", total=None)

        def advance(done: int, total: int):
            bar.update(task, completed=done, total=total)

        summaries = preparation.prepare(corpus, source, output, advance)
    console.print(summary_table(summaries))
    for subset, summary in summaries.items():
        for line in remarks(summary):
            print_line(f"{subset}: {line}")
    print_line(f"Wrote {output / layout.name}")
    console.print(f"Protocol: {layout.protocol}", highlight=False)


def summary_table(summaries: dict[str, Summary]) -> Table:
    table = Table("Subset")
    for column in ("Recordings", "Hours", "Hours of speech", "Speakers", "Overlap"):
        table.add_column(column, justify="right")
    for subset, summary in summaries.items():
        fewest, most = summary.num_speakers
        table.add_row(
            subset,
            str(summary.num_recordings),
            f"{summary.duration / 3600:.1f}",
            f"{summary.speech / 3600:.1f}",
            f"{fewest}" if fewest == most else f"{fewest} to {most}",
            f"{summary.overlap / max(summary.speech, 1e-9):.1%}",
        )
    return table


def remarks(summary: Summary) -> list[str]:
    """List the numbers of turns that were cut or left out"""
    lines = []
    if summary.num_empty:
        lines.append(f"turns without duration, left out: {summary.num_empty}")
    if summary.late:
        where = ", ".join(f"{uri} ({count})" for uri, count in summary.late.items())
        lines.append(f"turns after the end of their recording, cut or left out: {where}")
    return lines
