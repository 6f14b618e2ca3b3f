"""Score models: error rates and real-time factors"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pyannote.audio import Pipeline
from pyannote.metrics.diarization import DiarizationErrorRate

from ...files.audio import SAMPLE_RATE
from ...pipeline.scores import error_rates as rates_of
from ...segmentation.model import WavLMSegmentation
from ..speed import take_turns


def error_rates(pipeline: Path, files: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Compute the diarization error rate of an exported pipeline, and its components

    Parameters
    ----------
    pipeline : Path
        Exported folder.
    files : iterable of ProtocolFile
        Files of a pyannote.database protocol. Errors are counted in annotated regions, without
        collar.

    Returns
    -------
    rates : dict of float
        "der" and its three components (see `pipeline.scores`), as fractions of the duration
        of speech.
    """
    apply: Any = Pipeline.from_pretrained(pipeline)
    metric: Any = DiarizationErrorRate()
    for file in files:
        output = apply(dict(file))
        metric(file["annotation"], output.speaker_diarization, uem=file["annotated"])
    return rates_of(metric)


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
