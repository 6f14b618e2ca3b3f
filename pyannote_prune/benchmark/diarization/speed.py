"""Time a whole diarization, step by step"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from pyannote.audio import pipelines

from ...files.audio import SAMPLE_RATE
from ...pipeline.cropping import crop_to_audio
from ...segmentation.model import WavLMSegmentation
from ..speed.experiment import describe_machine, speech
from ..speed.measure import take_turns
from ..speed.subjects import load
from .models import hear_speech
from .parts import Parts
from .stopwatch import Stopwatch
from .variants import Variant, make_pipeline

CLASSES = {"stock": Variant(pipelines.SpeakerDiarization), "ours": Variant()}


def measure_diarization(
    name: str = "base-s80-md",
    duration: float = 120.0,
    device: str = "cpu",
    num_rounds: int = 5,
    report: Callable[[str], None] = lambda step: None,
    parts: Parts | None = None,
) -> dict[str, Any]:
    """Time whole diarizations, with both pipelines in turn

    Parameters
    ----------
    name : str
        Segmentation model: preset (random weights), or checkpoint.
    duration : float
        Length of the conversation, in seconds.
    device : str
    num_rounds : int
    report : callable
        Called with "stock" or "ours" before each diarization.
    parts : Parts, optional
        Instead of `name` and `device`. Defaults to that segmentation model, and to a WeSpeaker
        ResNet34 with random weights: time does not depend on weights.

    Returns
    -------
    results : dict
        Total seconds, and seconds of each step, for "stock" (pyannote.audio) and "ours", their
        ratio, and whether outputs agree.
    """
    if parts is None:
        parts = Parts(_load(name), device=device)
    else:
        name = str(parts.segmentation)
    file = {"waveform": speech(1, duration), "sample_rate": SAMPLE_RATE}
    both = {title: make_pipeline(parts, variant) for title, variant in CLASSES.items()}
    steps: dict[str, list[dict[str, float]]] = {title: [] for title in both}
    outputs: dict[str, Any] = {}

    def run(title: str):
        report(title)
        watch = Stopwatch()
        outputs[title] = both[title](dict(file), hook=watch)
        steps[title].append(watch.seconds)

    measures = take_turns({title: partial(run, title) for title in both}, num_rounds, parts.device)
    medians = {title: measure.seconds for title, measure in measures.items()}
    # ours has no turn after the end of the audio
    one, other = outputs["ours"], crop_to_audio(outputs["stock"], file)
    return {
        "machine": describe_machine(parts.device),
        "name": name,
        "duration": duration,
        "seconds": medians,
        "steps": {
            # the first round does not count
            title: {step: statistics.median(s[step] for s in found[1:]) for step in found[0]}
            for title, found in steps.items()
        },
        "ratio": medians["stock"] / medians["ours"],
        "same_diarization": one.speaker_diarization == other.speaker_diarization,
        "largest_difference_of_embeddings": float(
            np.nanmax(np.abs(one.speaker_embeddings - other.speaker_embeddings))
        ),
    }


def _load(name: str) -> WavLMSegmentation:
    model = load(name)
    if not isinstance(model, WavLMSegmentation):
        raise ValueError(f"`name` must be a preset or a checkpoint, found {name!r}, WavLM alone.")
    hear_speech(model)
    return model
