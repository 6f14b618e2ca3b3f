"""Open a segmentation model in any supported format"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..files.sources import check_is_file, model_in
from ..segmentation.model import WavLMSegmentation
from ..segmentation.provenance import source_name
from .checkpoints import open_checkpoint
from .diarizen.opening import open_diarizen
from .encoders import open_encoder
from .formats import Source
from .suplime.repository import open_suplime

# Register of formats, in the order in which they are tried. Each function returns None for sources
# of another format.
FORMATS: dict[str, Callable[[str | Path], Source | None]] = {
    "checkpoint": open_checkpoint,
    "released DiariZen model": open_diarizen,
    "SUPlime pipeline": open_suplime,
    "WavLM in Hugging Face layout": open_encoder,
}


def open_source(source: str | Path) -> Source:
    """Open a model in any supported format

    Parameters
    ----------
    source : str or Path
        Checkpoint, released DiariZen model (hub id or folder), WavLM in Hugging Face layout (hub
        id or folder), or WavLM file of DiariZen.

    Returns
    -------
    source : Source
        Its methods `load_model`, `load_settings` and `find_plda` return the segmentation model,
        the settings and the PLDA of its pipeline.

    Raises
    ------
    OSError
        If `source` is the name of a file that does not exist, or a folder whose model is to be
        given instead. `load_model` raises it if a repository cannot be found.
    ValueError
        If `source` has another format, is damaged, or holds code. `load_model` raises it if weights
        do not fit.
    """
    for open_format in FORMATS.values():
        found = open_format(source)
        if found is not None:
            return replace(found, load_model=partial(_load_named, found, source))
    if model_in(source) is not None or not Path(source).is_dir():
        check_is_file(source)
    raise ValueError(
        f"{str(source)!r} must be in one of these formats: {', '.join(FORMATS)}. None of them was "
        "found there."
    )


def _load_named(found: Source, source: str | Path) -> WavLMSegmentation:
    """Load a model, whose provenance is the name of the source unless it is known"""
    model = found.load_model()
    if model.provenance.source is None:
        model.provenance = replace(model.provenance, source=source_name(source))
    return model


def read_source(source: str | Path) -> WavLMSegmentation:
    """Load the segmentation model alone: see `open_source`"""
    return open_source(source).load_model()
