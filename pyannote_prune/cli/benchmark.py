"""Commands that measure: `benchmark accuracy`, `benchmark speed`, `benchmark diarization`"""

from __future__ import annotations

import typer

from .benchmark_accuracy import accuracy
from .benchmark_speed import diarization, speed
from .errors import readable_errors, resumable, run_in

benchmark = typer.Typer(
    help="Measure what the README claims.", no_args_is_help=True, add_completion=False
)
benchmark.command()(run_in(resumable)(accuracy))
benchmark.command()(run_in(readable_errors)(speed))
benchmark.command()(run_in(readable_errors)(diarization))
