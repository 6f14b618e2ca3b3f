"""Run arms in parallel, each in its own process"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from pyannote.audio.telemetry import set_telemetry_metrics

from ..processes import killed_with_us
from .arms import Arm


def run_in_parallel(
    run_arm: Callable[[Arm], dict[str, Any]],
    log_of: Callable[[Arm], Path],
    arms: Sequence[Arm],
    num_jobs: int,
    report: Callable[[Arm, dict[str, Any]], None],
    finished: Mapping[str, dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Run arms, each one as soon as the arm that it needs is finished

    No process is started if all of them are.

    Parameters
    ----------
    run_arm : callable
        Returns the result of an arm. It is pickled, for other processes.
    log_of : callable
        Returns the path of the log of an arm.
    arms : sequence of Arm
    num_jobs : int
        Number of processes, which share the cores: networks are small, and training two of them in
        parallel, on one core each, is faster than one after the other on two.
    report : callable
        Called with each arm and its result.
    finished : dict
        Results of arms that are not to be run, by name.

    Returns
    -------
    results : dict
        Result of each arm, by name.

    Raises
    ------
    RuntimeError
        If an arm fails, once the arms that do not need it are finished.
    """
    results, failures = dict(finished), {}
    waiting = [arm for arm in arms if arm.name not in results]
    if not waiting:
        return results
    running: dict[Future, Arm] = {}
    num_threads = max(1, (os.cpu_count() or 1) // num_jobs)
    num_jobs = min(num_jobs, len(waiting))
    setup = (_prepare, (num_threads, os.getpid()))
    # threads of torch do not survive a fork
    with ProcessPoolExecutor(num_jobs, get_context("spawn"), *setup) as pool, killed_with_us():
        while True:
            ready = (arm for arm in waiting if arm.needs is None or arm.needs.name in results)
            while len(running) < num_jobs and (arm := next(ready, None)):
                running[pool.submit(_run_logged, run_arm, log_of(arm), arm)] = arm
                waiting.remove(arm)
                ready = (a for a in waiting if a.needs is None or a.needs.name in results)
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                arm = running.pop(future)
                if error := future.exception():
                    failures[arm.name] = error
                else:
                    results[arm.name] = future.result()
                    report(arm, results[arm.name])
    if failures:
        name, error = next(iter(failures.items()))
        log = log_of(next(arm for arm in arms if arm.name == name))
        raise RuntimeError(
            f"{len(failures)} of {len(arms)} arms failed: {', '.join(failures)}. The first "
            f"error is {error!r} (see {log}): fix it, and run the same command again to resume."
        ) from error
    return results


def _prepare(num_threads: int, parent: int):
    # Ctrl-C reaches child processes as well: the parent reports it, and kills them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(num_threads)
    set_telemetry_metrics(False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def _die_with(parent: int):
    """Exit if the parent process was killed: a resumed experiment would train the same arm"""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run_logged(run_arm: Callable[[Arm], dict[str, Any]], log: Path, arm: Arm) -> dict[str, Any]:
    """Run an arm, and write its output to a log"""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            return run_arm(arm)
        except Exception:
            traceback.print_exc(file=file)
            raise
