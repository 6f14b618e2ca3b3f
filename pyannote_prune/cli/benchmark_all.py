"""Command `benchmark all`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as RichTable

from ..benchmark.pages.inputs import Inputs
from ..benchmark.pages.marks import update_pages
from ..benchmark.pages.run import Planned, hours, make_plan, measure_tables
from ..benchmark.pages.table import choose_tables
from ..benchmark.pages.tables import TABLES
from ..data.simulation.speakers import select_speakers
from ..data.simulation.voices import find_voices
from .apply import Subset
from .errors import console, errors, is_expected, print_line
from .voices import TEST_SPEAKERS


def measure_all(
    output: Annotated[Path, typer.Argument(help="Folder of results.", file_okay=False)],
    table: Annotated[
        list[str] | None,
        typer.Option(help="Table to measure. Repeat for several. Defaults to all (see --list)."),
    ] = None,
    voices: Annotated[
        Path | None,
        typer.Option(
            help="Recordings of single speakers, as for `pyannote-prune simulate`.",
            file_okay=False,
        ),
    ] = None,
    test_speakers: Annotated[list[str] | None, TEST_SPEAKERS] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Trained checkpoint of this package.", dir_okay=False)
    ] = None,
    segmentation: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint (of pyannote.audio too), preset, ONNX file, or pipeline folder to "
            "score."
        ),
    ] = None,
    embedding: Annotated[
        Path | None,
        typer.Option(help="Folder, checkpoint or ONNX file of a speaker embedding to score with."),
    ] = None,
    plda: Annotated[
        Path | None, typer.Option(help="Folder of its PLDA, for VBx clustering.", file_okay=False)
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Threshold of clustering.")] = None,
    min_cluster_size: Annotated[
        int | None, typer.Option(help="Smallest cluster of agglomerative clustering.", min=1)
    ] = None,
    database: Annotated[
        Path | None, typer.Option(help="database.yml that defines --protocol.", dir_okay=False)
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Protocol with references, to score diarizations.")
    ] = None,
    subset: Annotated[Subset, typer.Option(help="Subset of --protocol.")] = Subset.test,
    other_database: Annotated[
        Path | None,
        typer.Option(help="database.yml that defines --other-protocol.", dir_okay=False),
    ] = None,
    other_protocol: Annotated[
        str | None,
        typer.Option(
            help="Protocol of another domain, whose development set is scored with models of "
            "simulated conversations (--voices)."
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List tables, and measure nothing.")
    ] = False,
    update: Annotated[
        Path | None,
        typer.Option(
            help="Measure nothing: fill in the tables of pages of this folder, and of the README "
            "beside it, that have a mark.",
            file_okay=False,
            exists=True,
        ),
    ] = None,
):
    """
    Measure the tables of the pages, or those that remain

    Tables whose options or packages are missing are left out. A table that fails does not stop the
    others. Tables that were measured with the same options are not measured again: run the same
    command again to resume.
    """
    if update is not None:
        changed = update_pages(update, TABLES, output)
        for path in changed:
            print_line(f"Wrote {path}")
        if not changed:
            print_line("Nothing to change")
        return
    names: tuple[str, ...] = ()
    if test_speakers:
        if voices is None:
            raise ValueError(
                f"`--test-speakers` needs `--voices`, found {test_speakers[0]!r} alone: give both."
            )
        names = select_speakers(test_speakers, find_voices(voices))
    inputs = Inputs(
        voices,
        names,
        checkpoint,
        segmentation,
        embedding,
        plda,
        threshold,
        min_cluster_size,
        database,
        protocol,
        subset.value,
        other_database,
        other_protocol,
    )
    plan = make_plan(choose_tables(TABLES, table or ()), inputs, output)
    console.print(plan_table(plan))
    num_left = sum(planned.is_left for planned in plan)
    print_line(
        f"To measure: {num_left} of {len(plan)} tables, some {hours(plan):.1f} hours on 2 cores"
    )
    if list_:
        return
    if table:
        check_complete(plan)
    with console.status("Starting") as status:
        failures = measure_tables(
            plan,
            inputs,
            output,
            status.update,
            lambda table, results: print_line(
                f"{table.name}: {output / table.name}.json ({results.seconds / 60:.0f} min)"
            ),
        )
    finish(plan, failures)


def plan_table(plan: Sequence[Planned]) -> RichTable:
    """Make a table of what is to be measured"""
    table = RichTable()
    for title in ("Table", "Minutes", "Page", "What", "State"):
        options: Any = {"Table": {"no_wrap": True}, "Minutes": {"justify": "right"}}
        table.add_column(title, **options.get(title, {}))
    for planned in plan:
        it = planned.table
        table.add_row(it.name, f"{it.minutes:g}", it.page, it.title, str(planned))
    return table


def check_complete(plan: Sequence[Planned]) -> None:
    """Check that nothing is missing for tables that were chosen by name

    Raises
    ------
    ValueError
        If something is.
    """
    for planned in plan:
        if planned.missing:
            raise ValueError(
                f"`--table {planned.table.name}` needs {', '.join(planned.missing)}, found none: "
                "give it, or choose other tables."
            )


def finish(plan: Sequence[Planned], failures: Mapping[str, Exception]) -> None:
    """Report tables that were left out or failed, with the exit status"""
    for planned in plan:
        if planned.missing:
            print_line(f"{planned.table.name}: {planned}")
    for name, error in failures.items():
        kind = "" if is_expected(error) else f"{type(error).__name__}: "
        errors.print(f"{name} failed: {kind}{error}", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(code=1)
