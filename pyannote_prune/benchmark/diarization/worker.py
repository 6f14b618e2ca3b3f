"""Diarize in a process of its own, whose memory is that of one pipeline alone"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_all_start_methods, get_context, parent_process
from os import _exit
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from typing import Any

import psutil
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.telemetry import set_telemetry_metrics

from ...files.audio import SAMPLE_RATE
from ...pipeline.apply import Applied, apply_pipeline
from ...pipeline.pyannote_repairs import get_segmentation_model
from ...segmentation.specifications import single_specifications
from ..speed.experiment import speech
from .parts import Parts
from .stopwatch import Stopwatch
from .variants import Variant, make_pipeline

# pipelines of this process
_pipelines: dict[str, SpeakerDiarization] = {}


@dataclass(frozen=True)
class Diarized(Applied):
    """Result of one recording"""

    # seconds of each step
    steps: dict[str, float] = field(default_factory=dict)

    # peak memory of the process so far, in bytes
    memory: int = 0


def start_process() -> Executor:
    """Start a process, whose peak memory is its own

    A server that has imported everything, and done nothing, forks it: threads of torch do not
    survive the fork of a process that has used them, and a process that starts another program
    hands down its own peak memory.
    """
    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(method)
    context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(1, context, _prepare, (torch.get_num_threads(),))


def _prepare(num_threads: int):
    # Ctrl-C reaches child processes as well: the parent reports it, and kills them
    signal(SIGINT, SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(num_threads)
    set_telemetry_metrics(False)
    warnings.filterwarnings("ignore")


def _end_with_parent():
    """Exit if the parent process was killed"""
    parent = parent_process()
    assert parent is not None
    parent.join()
    _exit(1)


def load(name: str, parts: Parts, variant: Variant):
    """Make a pipeline in this process, and warm it up on an excerpt of a conversation"""
    pipeline = _pipelines[name] = make_pipeline(parts, variant)
    window = single_specifications(get_segmentation_model(pipeline)).duration
    pipeline({"waveform": speech(1, 1.5 * window), "sample_rate": SAMPLE_RATE})


def diarize(name: str, recording: Mapping[str, Any], folder: Path) -> Diarized:
    """Diarize one recording with the pipeline of that name

    Parameters
    ----------
    name : str
    recording : dict
        "uri" and "audio".
    folder : Path
        New folder for its results.
    """
    watch = Stopwatch()
    (applied,) = apply_pipeline(_pipelines[name], [recording], folder, watch)
    memory = peak_memory(_pipelines[name].device)
    return Diarized(**vars(applied), steps=watch.seconds, memory=memory)


def peak_memory(device: torch.device) -> int:
    """Peak memory of this process, in bytes. That of the GPU if there is one"""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
