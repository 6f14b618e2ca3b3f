"""Commands `benchmark accuracy`, `benchmark speed`, `benchmark diarization`, `benchmark all`"""

from __future__ import annotations

import typer

from .benchmark_accuracy import accuracy
from .benchmark_all import measure_all
from .benchmark_diarization import diarization
from .benchmark_speed import speed
from .errors import readable_errors, resumable, run_in

benchmark = typer.Typer(
    help="Measure accuracy and speed, as the pages of tutorials report them",
    no_args_is_help=True,
    add_completion=False,
)
benchmark.command()(run_in(resumable)(accuracy))
benchmark.command()(run_in(readable_errors)(speed))
benchmark.command()(run_in(readable_errors)(diarization))
benchmark.command("all")(run_in(resumable)(measure_all))
