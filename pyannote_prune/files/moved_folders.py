"""Paths in a project that was moved, copied, or mounted elsewhere"""

from __future__ import annotations

from pathlib import Path


def is_moved(here: object, there: object, output: Path, request: str) -> bool:
    """Whether a path is the same one, in a project that was moved, or copied, with its `output`

    Both end alike, and what remains of the first one is the project that `output` is in. The second
    one is gone, or the same `output` is in its project as well.

    Parameters
    ----------
    here, there : any
        Value that is asked for, and the former one.
    output : Path
        Folder of results.
    request : str
        File of that folder that says what was asked for.
    """
    if not (isinstance(here, str) and isinstance(there, str)):
        return False
    old, new = Path(there), Path(here)
    if not (old.is_absolute() and new.is_absolute()):
        return False
    is_gone = not old.exists()
    while new.name == old.name and new.name:
        new, old = new.parent, old.parent
    output, project = output.resolve(), new.resolve()
    if not output.is_relative_to(project):
        return False
    return is_gone or (old / output.relative_to(project) / request).is_file()
