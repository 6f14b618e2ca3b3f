"""Time each speed of our pipeline on one conversation, beside pyannote.audio's pipeline"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyannote.core import Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from scipy.io import wavfile

from ...files.audio import SAMPLE_RATE
from ...onnx.save import save_onnx
from ...segmentation.checkpoint import save_checkpoint
from ...segmentation.model import WavLMSegmentation
from ..speed.experiment import describe_machine, speech
from .in_turn import diarize_in_turn
from .models import open_segmentation
from .parts import Parts
from .variants import VARIANTS, Variant
from .worker import Diarized, start_process


def measure_speeds(
    name: str = "base-s80-md",
    duration: float = 120.0,
    num_rounds: int = 3,
    report: Callable[[str], None] = lambda step: None,
    parts: Parts | None = None,
    variants: Mapping[str, Variant] = VARIANTS,
    start: Callable[[], Executor] = start_process,
) -> dict[str, Any]:
    """Time whole diarizations at each speed

    Speeds compute the ONNX file of the segmentation model. Each pipeline has a process of its own.
    They take turns, so that a busy machine slows all of them down alike.

    Parameters
    ----------
    name : str
        Segmentation model: preset (random weights), or checkpoint of this package.
    duration : float
        Length of the conversation, in seconds.
    num_rounds : int
        Number of timed rounds, of which the median counts.
    report : callable
        Called with a description of each diarization.
    parts : Parts, optional
        Other parts than segmentation. Defaults to a WeSpeaker ResNet34 with random weights: time
        does not depend on weights.
    variants : dict of Variant, optional
        Pipelines, by name. Defaults to `VARIANTS`.
    start : callable, optional
        Starts the process of a pipeline.

    Returns
    -------
    results : dict
        Machine, and one row per pipeline: "seconds" and "steps" (seconds of each),
        "real_time_factor", "memory" (peak, in bytes), and "difference", the share of speech for
        which turns differ from those of the first row.

    Raises
    ------
    OSError, ValueError
        If there is no such model, or if a pipeline fails.
    """
    model = open_segmentation(name)
    if not isinstance(model, WavLMSegmentation):
        raise ValueError(f"`name` must be a preset or a checkpoint of ours, found {name!r}.")
    found: dict[str, list[Diarized]] = {title: [] for title in variants}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_checkpoint(model, folder / "model.ckpt")
        save_onnx(model, folder / "model.onnx")
        del model
        samples = speech(1, duration)[0].numpy()
        wavfile.write(folder / "conversation.wav", SAMPLE_RATE, samples)
        for title, diarized in diarize_in_turn(
            [{"uri": "conversation", "audio": folder / "conversation.wav"}],
            replace(parts or Parts(), segmentation=str(folder / "model.ckpt")),
            {title: _with_file(one, folder / "model.onnx") for title, one in variants.items()},
            num_rounds,
            lambda title, diarized: report(f"{title}: {diarized.seconds:.1f} s"),
            start,
        ):
            found[title].append(diarized)
    first = next(iter(found.values()))[0]
    return {
        "machine": describe_machine("cpu"),
        "name": name,
        "duration": duration,
        "num_rounds": num_rounds,
        "rows": [
            {
                "name": title,
                **_row(several, duration),
                "difference": _difference(several[0], first, duration),
            }
            for title, several in found.items()
        ],
    }


def _with_file(variant: Variant, path: Path) -> Variant:
    """Let engines compute the ONNX file where the pipeline has a speed"""
    if variant.speed is None:
        return variant
    return replace(variant, options={**variant.options, "segmentation": str(path)})


def _row(several: Sequence[Diarized], duration: float) -> dict[str, Any]:
    seconds = statistics.median(one.seconds for one in several)
    return {
        "seconds": seconds,
        "real_time_factor": seconds / duration,
        "steps": {
            step: statistics.median(one.steps[step] for one in several) for step in several[0].steps
        },
        "memory": max(one.memory for one in several),
    }


def _difference(one: Diarized, other: Diarized, duration: float) -> float:
    """Share of speech for which two diarizations differ, whatever the names of speakers"""
    whole = Timeline([Segment(0, duration)])
    return float(DiarizationErrorRate()(other.diarization, one.diarization, uem=whole))
