"""Paths in a project that was moved, copied, or mounted elsewhere"""

from __future__ import annotations

from pathlib import Path


def is_moved(here: object, there: object, output: Path, request: str) -> bool:
    """Whether two paths are the same, but for a project that was moved or copied with `output`

    Both paths have the same end. The beginning of the first one is the project, which contains
    `output`. The second path no longer exists, or the former project also contains `output`.

    Parameters
    ----------
    here, there : any
        Present value, and former value.
    output : Path
        Folder of results.
    request : str
        Name of the file in `output` that contains the request: see `claim`.
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
