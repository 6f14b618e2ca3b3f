"""Errors of commands: one line for expected ones"""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from yaml import YAMLError

from ..files.extras import MissingExtra
from .interruption import Interrupted, interruptible

# environment variable
DEBUG = "PYANNOTE_PRUNE_DEBUG"

console, errors = Console(), Console(stderr=True)


def print_line(line: str):
    """Print a line as it is: brackets of names and paths are not markup"""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print expected errors in one line, and log their traceback for debugging"""
    show_debugging()
    try:
        yield
    except Exception as error:
        if not is_expected(error):
            raise
        logging.getLogger("pyannote_prune").debug("traceback", exc_info=True)
        errors.print("Error:", style="bold red", end=" ")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(code=1) from error


def is_expected(error: Exception) -> bool:
    """Whether users can act upon an error

    pyannote.database reads `database.yml` with PyYAML. The error of Lightning is recognized by
    name, so that commands that do not need Lightning do not import it.
    """
    expected = (OSError, ValueError, YAMLError, MissingExtra)
    return isinstance(error, expected) or type(error).__name__ == "MisconfigurationException"


def is_debugging() -> bool:
    """Whether the environment variable is set"""
    return os.environ.get(DEBUG, "0") not in ("", "0")


def show_debugging():
    """Print debug messages of this package if the environment variable is set"""
    logger = logging.getLogger("pyannote_prune")
    if is_debugging() and not logger.handlers:
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.DEBUG)


@contextmanager
def resumable() -> Iterator[None]:
    """Print expected errors, and stop on signals: the same command resumes later"""
    try:
        with readable_errors(), interruptible():
            yield
    except Interrupted as error:
        if _is_first_process():
            errors.print(str(error), highlight=False, soft_wrap=True)
        raise typer.Exit(code=error.status) from error


def run_in(context: Callable[[], AbstractContextManager[None]]) -> Callable[[Callable], Callable]:
    """Make a decorator that runs commands in a context, without warnings of dependencies"""

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            silence_dependencies()
            with plain_warnings(), context():
                return command(*args, **kwargs)

        return run

    return decorate


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings of this package without place and code, unless they are debugged"""
    former, folder = warnings.formatwarning, str(Path(__file__).parents[1])

    def write(
        message: Any, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if not filename.startswith(folder) or is_debugging():
            return former(message, category, filename, lineno, line)
        return f"Warning: {message}\n"

    warnings.formatwarning = write
    try:
        yield
    finally:
        warnings.formatwarning = former


def silence_dependencies():
    """Silence telemetry (there may be no network) and warnings of dependencies"""
    from pyannote.audio.telemetry import set_telemetry_metrics  # takes seconds

    set_telemetry_metrics(False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(lightning|torch_audiomentations)\b")
    # speaker embeddings of a single frame, which clustering leaves out
    warnings.filterwarnings("ignore", r"std\(\): degrees of freedom", module=r"pyannote\.audio\b")
    # references are cropped to annotated regions, as intended, each time that they are read
    modified = 'Existing precomputed key "annotat'
    warnings.filterwarnings("ignore", modified, module=r"pyannote\.database\b")


def _is_first_process() -> bool:
    """Whether this is the first of the processes that train together"""
    from ..training.devices import process_rank  # takes seconds

    return process_rank() == 0
