"""Command `check`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..pipeline.check import Row, check_pipeline
from .errors import console, errors, print_line, readable_errors, run_in


@run_in(readable_errors)
def check(
    folder: Annotated[
        Path, typer.Argument(help="Exported pipeline, with its model card.", file_okay=False)
    ],
):
    """
    Check that an exported FOLDER runs offline, and is what its model card claims

    For folders that you are about to share. The exit status is 1 if something differs, or fails.
    """
    rows = check_pipeline(folder)
    console.print(check_table(rows))
    problems = [row.problem for row in rows if row.problem is not None]
    for problem in problems:
        errors.print("Error:", style="bold red", end=" ")
        errors.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(code=1)
    print_line(f"{folder} is what its card claims")


def check_table(rows: list[Row]) -> Table:
    """Make a table of claims, and of what was found"""
    table = Table(title="Model card")
    for name in ("Claim", "Claimed", "Found", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        mark = "[green]same[/]" if row.problem is None else "[bold red]differs[/]"
        table.add_row(escape(row.name), escape(row.claimed), escape(row.found), mark)
    return table
