"""Time and memory"""

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

# side of the matrices whose product is what a processor does at best
SIDE = 2048


@dataclass(frozen=True)
class Measure:
    """Times of one thing

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
    """Time functions in turn, so that whatever else the machine does concerns all of them

    Parameters
    ----------
    functions : dict of callable
    num_rounds : int
        Number of times that each of them is called, after one more which does not count.
    device : str, optional
        Where they run.
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
    """Median and quartiles"""
    if len(times) == 1:
        return Measure(times[0], times[0], times[0])
    lowest, median, highest = statistics.quantiles(times, n=4, method="inclusive")
    return Measure(median, lowest, highest)


def synchronize(device: str):
    """Wait for what was sent to a device"""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(dtype: torch.dtype, device: str = "cpu", num_rounds: int = 7) -> float:
    """Multiply-accumulate operations per second of a product of large matrices"""
    one, other = torch.randn(2, SIDE, SIDE, device=device).to(dtype)
    measure = take_turns({"product": lambda: one @ other}, num_rounds, device)["product"]
    return SIDE**3 / measure.seconds


def peak_memory(function: Callable[[], object], device: str = "cpu") -> int:
    """Memory, in bytes, that a function takes at its peak, beyond what is there before"""
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
    """Have the system take back what was freed: it would be used again, unnoticed"""
    gc.collect()
    # glibc alone has this function
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
