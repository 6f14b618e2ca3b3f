"""Score models: error rates and real-time factors"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pyannote.audio import Pipeline

from ...files.audio import SAMPLE_RATE
from ...segmentation.model import WavLMSegmentation
from ..diarization.row import score
from ..speed import take_turns


def error_rates(pipeline: Path, files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Score an exported pipeline, whose clustering may read references

    Parameters
    ----------
    pipeline : Path
        Exported folder.
    files : iterable of ProtocolFile
        Files of a pyannote.database protocol. Errors are counted in annotated regions, without
        collar.

    Returns
    -------
    scores : dict
        See `benchmark.diarization.row.score`.
    """
    apply: Any = Pipeline.from_pretrained(pipeline)
    recordings = [dict(file) for file in files]
    found = {one["uri"]: apply(one).speaker_diarization for one in recordings}
    return score(recordings, found)


@torch.inference_mode()
def real_time_factors(
    models: Mapping[str, WavLMSegmentation], duration: float, num_rounds: int = 15
) -> dict[str, float]:
    """Measure processing time over duration, for one window at a time

    Parameters
    ----------
    models : dict of WavLMSegmentation
    duration : float
        Length of the window, in seconds.
    num_rounds : int, optional
        Number of timed rounds, of which the median counts. Defaults to 15.
    """
    window = torch.randn(1, 1, round(duration * SAMPLE_RATE))
    functions = {name: partial(model, window) for name, model in models.items()}
    measures = take_turns(functions, num_rounds)
    return {name: measure.seconds / duration for name, measure in measures.items()}
