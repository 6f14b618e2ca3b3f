"""Measurements of `pyannote-prune benchmark speed`"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from pyannote.audio import Audio
from pyannote.audio.sample import SAMPLE_FILE
from torch import Tensor, nn

from ...files.audio import SAMPLE_RATE
from ...onnx.engines import TORCH
from ...segmentation.model import WavLMSegmentation
from ...segmentation.specifications import single_specifications
from .engines import check_engines
from .measure import matrix_peak, peak_memory, take_turns
from .subjects import DTYPES, Subject, load, runner, subjects
from .training import distillation_step


def speech(batch_size: int, duration: float, device: str = "cpu") -> Tensor:
    """Cut windows from the sample conversation of pyannote.audio, repeated as needed

    Returns
    -------
    waveforms : (batch_size, num_samples) torch.Tensor
    """
    waveform, _ = Audio(sample_rate=SAMPLE_RATE, mono="downmix")(SAMPLE_FILE)
    num_samples = round(duration * SAMPLE_RATE)
    needed = batch_size * num_samples
    repeated = waveform[0].repeat(-(-needed // waveform.shape[1]))
    return repeated[:needed].reshape(batch_size, num_samples).to(device)


@torch.inference_mode()
def measure_speed(
    names: Sequence[str],
    cases: Sequence[tuple[int, float]],
    parts: Sequence[str] = ("encoder", "model"),
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    device: str = "cpu",
    num_rounds: int = 7,
    report: Callable[[str], None] = lambda step: None,
    engines: Sequence[str] = (TORCH,),
) -> dict[str, Any]:
    """Time models in one run

    Parameters
    ----------
    names : sequence of str
        Checkpoints, presets, and dense encoders of `transformers`.
    cases : sequence of (int, float)
        Batch size, and length of windows in seconds.
    parts : sequence of {"encoder", "model"}
    dtypes : sequence of {"float32", "bfloat16"}
    device : str
    num_rounds : int
    report : callable
        Called with a description of each case before it is measured.
    engines : sequence of {"torch", "onnxruntime", "openvino"}
        What computes checkpoints and presets. All but "torch" are for CPU.

    Raises
    ------
    ValueError
        If there is no such model or engine.

    Returns
    -------
    results : dict
        Machine, peak of matrix products (MACs per second), deviations of log-probabilities, and one
        row per network, part, precision, and case.
    """
    check_engines(engines)
    if device != "cpu" and (others := [name for name in engines if name != TORCH]):
        raise ValueError(
            f"`engines` other than {TORCH!r} are timed on CPU, found {', '.join(others)} and "
            f"device {device!r}: measure them without it."
        )
    results: dict[str, Any] = {"machine": describe_machine(device), "rows": []}
    results["peak"] = {dtype: matrix_peak(DTYPES[dtype], device) for dtype in dtypes}
    networks: dict[str, nn.Module] = {name: load(name) for name in names}
    networks = {name: network.to(device) for name, network in networks.items()}
    timed = [
        subject
        for name, network in networks.items()
        for subject in subjects(name, network, parts, dtypes, engines)
    ]
    results["deviations"] = {
        name: deviation(network, speech(4, single_specifications(network).duration, device))
        for name, network in networks.items()
        if isinstance(network, WavLMSegmentation) and "bfloat16" in dtypes
    }
    for batch_size, duration in cases:
        report(f"{batch_size} x {duration:g} s")
        waveforms = speech(batch_size, duration, device)
        functions = {subject.label: bind(subject, waveforms) for subject in timed}
        measures = take_turns(functions, num_rounds, device)
        for subject in timed:
            seconds, audio = measures[subject.label].seconds, batch_size * duration
            share = None
            if subject.macs_per_second is not None:
                share = subject.macs_per_second * audio / seconds / results["peak"][subject.dtype]
            results["rows"].append(
                {
                    **{key: getattr(subject, key) for key in ("name", "part", "dtype")},
                    "batch_size": batch_size,
                    "duration": duration,
                    **asdict(measures[subject.label]),
                    "real_time_factor": seconds / audio,
                    "share_of_peak": share,
                    "memory": peak_memory(functions[subject.label], device),
                }
            )
    return results


def bind(subject: Subject, waveforms: Tensor) -> Callable[[], object]:
    return lambda: subject.run(waveforms)


def deviation(model: WavLMSegmentation, waveforms: Tensor) -> dict[str, float]:
    """Measure how outputs in bfloat16 deviate from single precision

    Returns
    -------
    deviation : dict
        "log_probabilities", the largest difference, and "same_decisions", the share of frames with
        the same most probable class.
    """
    exact, fast = (runner(model, "model", dtype)(waveforms) for dtype in DTYPES)
    same = (exact.argmax(-1) == fast.argmax(-1)).float().mean()
    return {
        "log_probabilities": F.l1_loss(fast, exact, reduction="none").max().item(),
        "same_decisions": same.item(),
    }


def measure_training(
    preset: str = "base",
    batch_size: int = 2,
    duration: float = 8.0,
    device: str = "cpu",
    num_rounds: int = 3,
) -> dict[str, Any]:
    """Time a step of distillation-pruning, against three forward passes of `transformers`

    Returns
    -------
    results : dict
        Seconds of both, their ratio, and peak memory of a step in addition to weights.
    """
    waveforms = speech(batch_size, duration, device)
    yardstick: nn.Module = load(f"transformers-{preset}")
    yardstick.to(device)
    step = distillation_step(preset, waveforms)

    @torch.inference_mode()
    def forward_thrice():
        for _ in range(3):
            yardstick(waveforms)

    measures = take_turns({"step": step, "yardstick": forward_thrice}, num_rounds, device)
    return {
        "machine": describe_machine(device),
        "preset": preset,
        "batch_size": batch_size,
        "duration": duration,
        **{name: asdict(measure) for name, measure in measures.items()},
        "ratio": measures["step"].seconds / measures["yardstick"].seconds,
        "memory": peak_memory(step, device),
    }


def describe_machine(device: str) -> str:
    """Describe the machine, on which times depend"""
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, " + (
        f"{platform.machine()} ({torch.backends.cpu.get_cpu_capability()}), "
        f"torch {torch.__version__}"
    )
