"""Open models released by DiariZen"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...files.pickles import read_safely
from ..formats import Source
from ..hub import find_on_hub
from .load import is_whole_model, load_diarizen, load_file
from .repository import CONFIG
from .settings import find_plda, load_settings


def open_diarizen(source: str | Path) -> Source | None:
    """Open a released model, or a file of DiariZen's training

    Returns
    -------
    source : Source or None
        None for folders and repositories without `config.toml`. All files are opened: checkpoints
        of this package come first in the register of formats.
    """
    if Path(source).is_file():
        content = read_safely(source)
        load = partial(load_file, Path(source), content)
        if is_whole_model(content):
            return Source(load, partial(load_settings, source))
        return Source(load)
    if not _is_released(source):
        return None
    return Source(
        partial(load_diarizen, source), partial(load_settings, source), partial(find_plda, source)
    )


def _is_released(source: str | Path) -> bool:
    """Whether a folder or a repository of the hub has a `config.toml`"""
    if Path(source).exists():
        return (Path(source) / CONFIG).is_file()
    return find_on_hub(source, CONFIG) is not None
