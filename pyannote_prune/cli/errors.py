"""Errors of commands: one line for those that people can act upon"""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import typer
from rich.console import Console
from yaml import YAMLError

from .interruption import Interrupted, interruptible

# environment variable
DEBUG = "PYANNOTE_PRUNE_DEBUG"

console, errors = Console(), Console(stderr=True)


def print_line(line: str):
    """Print names and paths as they are, brackets included"""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print errors that people can act upon in one line, and their traceback for debugging"""
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
    """Whether the message of an error tells people what to do

    PyYAML reads `database.yml` for pyannote.database. The error of Lightning is known by its name,
    so that commands that do not need Lightning do not import it.
    """
    expected = (OSError, ValueError, YAMLError)
    return isinstance(error, expected) or type(error).__name__ == "MisconfigurationException"


def show_debugging():
    """Print what this package logs for debugging, if the environment asks for it"""
    logger = logging.getLogger("pyannote_prune")
    if os.environ.get(DEBUG, "0") not in ("", "0") and not logger.handlers:
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.DEBUG)


@contextmanager
def resumable() -> Iterator[None]:
    """Same, for commands that go on when they are run again, whatever stopped them"""
    try:
        with readable_errors(), interruptible():
            yield
    except Interrupted as error:
        if _is_first_process():
            errors.print(str(error), highlight=False, soft_wrap=True)
        raise typer.Exit(code=error.status) from error


def run_in(context: Callable[[], AbstractContextManager[None]]) -> Callable[[Callable], Callable]:
    """Decorator of commands: run them in a context, without advice of dependencies"""

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            silence_dependencies()
            with context():
                return command(*args, **kwargs)

        return run

    return decorate


def silence_dependencies():
    """Switch telemetry off (there may be no network), and advice that does not concern the user"""
    from pyannote.audio.telemetry import set_telemetry_metrics  # takes seconds

    set_telemetry_metrics(False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(lightning|torch_audiomentations)\b")
    # turns outside of annotated regions are left out, as they should be, whenever they are read
    modified = 'Existing precomputed key "annotat'
    warnings.filterwarnings("ignore", modified, module=r"pyannote\.database\b")


def _is_first_process() -> bool:
    """Whether this process speaks for all those that train together"""
    from ..training.devices import process_rank  # takes seconds

    return process_rank() == 0
