"""Command line

The module of a command is imported when the command is run: `pyannote-prune --help` imports none.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..version import __version__
from .errors import DEBUG
from .lazy import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    epilog=f"Set the environment variable {DEBUG}=1 to print the traceback of each error.",
    add_completion=False,
)


def print_version(asked: bool):
    if asked:
        typer.echo(f"pyannote-prune {__version__}")
        raise typer.Exit()


@app.callback(no_args_is_help=True)
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True),
    ] = False,
):
    """
    Prunable WavLM segmentation models for pyannote.audio.
    """
    escape_unprintable()


def escape_unprintable():
    r"""Print characters that the encoding of the output lacks as \xe9 or \u4f1a, as errors do

    Otherwise, printing the name of a file could raise an error.
    """
    # streams that replace the standard output may lack this method
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
