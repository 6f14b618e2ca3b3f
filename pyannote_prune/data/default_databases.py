"""Import pyannote.database in any folder

It loads `database.yml` of the current folder, ~/.pyannote/database.yml and the files of
$PYANNOTE_DATABASE_CONFIG when it is imported (as of 6.1), and cannot be imported if one of them is
malformed. This package needs none of them.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def import_database() -> None:
    """Import pyannote.database, without default databases if one of them cannot be loaded"""
    # its own imports first: an error there has another cause
    for name in ("pandas", "pyannote.core", "yaml"):
        importlib.import_module(name)
    try:
        importlib.import_module("pyannote.database")
    except ImportError:
        raise
    # malformed YAML raises errors of many kinds
    except Exception as error:
        with no_default_databases():
            importlib.import_module("pyannote.database")
        reason = " ".join(str(error).split())
        warnings.warn(
            "pyannote.database cannot read one of its default databases (`database.yml` of the "
            "current folder, ~/.pyannote/database.yml, $PYANNOTE_DATABASE_CONFIG): none of them is "
            f"loaded ({type(error).__name__}: {reason}).",
            stacklevel=2,
        )


@contextmanager
def no_default_databases() -> Iterator[None]:
    """Hide default databases: change the places where they are looked for, for a moment"""
    folder, variables = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as empty:
        os.environ.pop("PYANNOTE_DATABASE_CONFIG", None)
        os.environ.update(HOME=empty, USERPROFILE=empty)
        os.chdir(empty)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(variables)
