"""Time a whole diarization, step by step"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from pyannote.audio import Pipeline, pipelines
from pyannote.audio.models.embedding import WeSpeakerResNet34

from ...pipeline.cropping import crop_to_audio
from ...pipeline.diarization import DiarizationPipeline
from ...pipeline.pyannote_repairs import NoPLDA
from ...segmentation.model import WavLMSegmentation
from ...segmentation.specifications import single_specifications
from .experiment import SAMPLE_RATE, describe_machine, speech
from .measure import take_turns
from .subjects import load

CLASSES = {"stock": pipelines.SpeakerDiarization, "ours": DiarizationPipeline}


def make_pipelines(name: str, device: str = "cpu") -> dict[str, Pipeline]:
    """Make the pipeline of pyannote.audio, and ours, from the same parts

    Parameters
    ----------
    name : str
        Preset (random weights), or checkpoint. The speaker embedding is a WeSpeaker ResNet34 with
        random weights: time does not depend on weights.
    device : str
    """
    torch.manual_seed(0)
    segmentation, embedding = load(name), WeSpeakerResNet34().eval()
    if not isinstance(segmentation, WavLMSegmentation):
        raise ValueError(f"`name` must be a preset or a checkpoint, found {name!r}, WavLM alone.")
    if single_specifications(segmentation).powerset:
        with torch.no_grad():
            # random weights could find no speech in any frame
            segmentation.classifier.bias[0] -= 10.0
    found = {}
    for title, make in CLASSES.items():
        pipeline = make(
            segmentation=segmentation,
            embedding=embedding,
            plda=NoPLDA(),
            clustering="AgglomerativeClustering",
            segmentation_batch_size=8,
            embedding_batch_size=8,
            embedding_exclude_overlap=True,
        )
        clustering = {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7}
        pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}, "clustering": clustering})
        found[title] = pipeline.to(torch.device(device))
    return found


class Stopwatch:
    """Hook of a pipeline that adds up the time of each of its steps"""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def __call__(self, step: str, *args, **kwargs):
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self.last
        self.last = now


def measure_diarization(
    name: str = "base-s80-md",
    duration: float = 120.0,
    device: str = "cpu",
    num_rounds: int = 5,
    report: Callable[[str], None] = lambda step: None,
) -> dict[str, Any]:
    """Time whole diarizations, with both pipelines in turn

    Parameters
    ----------
    name : str
        Segmentation model.
    duration : float
        Length of the conversation, in seconds.
    device : str
    num_rounds : int
    report : callable
        Called with "stock" or "ours" before each diarization.

    Returns
    -------
    results : dict
        Total seconds, and seconds of each step, for "stock" (pyannote.audio) and "ours", their
        ratio, and whether outputs agree.
    """
    file = {"waveform": speech(1, duration), "sample_rate": SAMPLE_RATE}
    both = make_pipelines(name, device)
    steps: dict[str, list[dict[str, float]]] = {title: [] for title in both}
    outputs: dict[str, Any] = {}

    def run(title: str):
        report(title)
        watch = Stopwatch()
        outputs[title] = both[title](dict(file), hook=watch)
        steps[title].append(watch.seconds)

    measures = take_turns({title: partial(run, title) for title in both}, num_rounds, device)
    medians = {title: measure.seconds for title, measure in measures.items()}
    # ours has no turn after the end of the audio
    one, other = outputs["ours"], crop_to_audio(outputs["stock"], file)
    return {
        "machine": describe_machine(device),
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
