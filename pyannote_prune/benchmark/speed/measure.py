"""Measure time and memory"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil
import torch

# side of square matrices, large enough for their product to reach the peak of a processor
SIDE = 2048


@dataclass(frozen=True)
class Measure:
    """Summary of the times of a function

    Parameters
    ----------
    seconds : float
        Median.
    lowest, highest : float
        First and third quartiles.
    """

    seconds: float
    lowest: float
    highest: float


def take_turns(
    functions: Mapping[str, Callable[[], object]], num_rounds: int, device: str = "cpu"
) -> dict[str, Measure]:
    """Time functions in turn, so that a busy machine slows all of them down alike

    Parameters
    ----------
    functions : dict of callable
    num_rounds : int
        Number of timed calls of each function, after a first call that does not count.
    device : str, optional
        Device on which functions run.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(num_rounds + 1):
        for name, function in functions.items():
            synchronize(device)
            start = time.perf_counter()
            function()
            synchronize(device)
            times[name].append(time.perf_counter() - start)
    return {name: summarize(found[1:]) for name, found in times.items()}


def summarize(times: list[float]) -> Measure:
    """Compute median and quartiles"""
    if len(times) == 1:
        return Measure(times[0], times[0], times[0])
    lowest, median, highest = statistics.quantiles(times, n=4, method="inclusive")
    return Measure(median, lowest, highest)


def synchronize(device: str):
    """Wait for a device to finish"""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(dtype: torch.dtype, device: str = "cpu", num_rounds: int = 7) -> float:
    """Measure multiply-accumulate operations per second of a product of large matrices"""
    one, other = torch.randn(2, SIDE, SIDE, device=device).to(dtype)
    measure = take_turns({"product": lambda: one @ other}, num_rounds, device)["product"]
    return SIDE**3 / measure.seconds


def peak_memory(function: Callable[[], object], device: str = "cpu") -> int:
    """Measure peak memory of a function, in bytes, in addition to memory in use before"""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    give_back_memory()
    process, peak, done = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    function()
    done.set()
    watcher.join()
    return max(peak, process.memory_info().rss - before, 0)


def give_back_memory():
    """Return freed memory to the system: reusing it would not be measured"""
    gc.collect()
    # only glibc has this function
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
