"""The pipeline that is applied, and the folder of its results"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from pyannote.audio import Pipeline

from ..folders import claim
from ..whole import remove_drafts
from .apply import say

REQUEST = "application.yml"


def load_pipeline(pipeline: str, device: str = "auto") -> Pipeline:
    """Pretrained pipeline, on a device

    Parameters
    ----------
    pipeline : str
        Exported folder, or hub id.
    device : str, optional
        "cpu", "cuda", "cuda:1"... Defaults to a GPU if there is one ("auto").

    Raises
    ------
    ValueError
        If there is no such pipeline, or no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"`device` must be that of a processor of this machine, found {device!r} ({reason})."
        ) from error
    rule = f"`pipeline` must be the folder of a pipeline, or a hub id, found {pipeline!r}"
    try:
        loaded = Pipeline.from_pretrained(pipeline)
    # it may hold anything
    except Exception as error:
        raise ValueError(f"{rule}, which cannot be loaded: {say(error)}") from error
    if loaded is None:
        raise ValueError(
            f"{rule}, which could not be downloaded: its conditions may have to be accepted on the "
            "hub."
        )
    return loaded.to(torch.device(device))


def claim_results(folder: Path, pipeline: str, source: Any):
    """Make a folder that of the results of one pipeline on recordings of one origin

    Parameters
    ----------
    folder : Path
        Must not exist, be empty, or come from the same pipeline and origin.
    pipeline : str
        Exported folder (the same one if its files are the same), or hub id.
    source : str or list of str
        Where recordings come from: names are unique in there only.

    Raises
    ------
    ValueError
        If the folder is in use.
    """
    claim(folder, REQUEST, {"pipeline": _identity(pipeline), "source": source})
    remove_drafts(folder)


def _identity(pipeline: str) -> str:
    """Hub id, or digest of the files of a folder"""
    folder = Path(pipeline)
    if not folder.exists():
        return pipeline
    digest = hashlib.sha256()
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths or [folder]:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{digest.hexdigest()}"
