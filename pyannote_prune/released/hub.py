"""Files of repositories of the hub"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from ..files.sources import hub_error, looks_like_hub_id


def find_on_hub(source: str | Path, name: str) -> Path | None:
    """Find a file of a repository of the hub, downloaded if necessary

    Parameters
    ----------
    source : str or Path
        Hub id, or any other name.
    name : str
        Path of the file in the repository.

    Returns
    -------
    path : Path or None
        None if `source` cannot be a hub id, or if its repository lacks that file.

    Raises
    ------
    OSError
        If there is no such repository, or if it cannot be reached and is not in the cache. Other
        files need not be asked for then: each one would be tried for half a minute.
    """
    if not looks_like_hub_id(source):
        return None
    try:
        return Path(hf_hub_download(str(source), name))
    except LocalEntryNotFoundError as error:  # the hub could not be reached
        if _is_cached(str(source)):
            return None
        raise hub_error(source, error) from error
    except EntryNotFoundError:
        return None
    except OSError as error:
        raise hub_error(source, error) from error


def _is_cached(hub_id: str) -> bool:
    """Whether the cache has files of a repository"""
    return (Path(HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model")).is_dir()
