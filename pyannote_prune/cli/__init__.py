"""Command line

Modules of commands are imported when they are run: `pyannote-prune --help` needs none of them.
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
    epilog=f"{DEBUG}=1, in the environment, prints the traceback of each error.",
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
    r"""Print characters that the encoding of the output lacks as \xe9 or \u4f1a, as errors are

    Otherwise, the name of a file could end a command.
    """
    # streams that stand for the standard output may have no such method
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
