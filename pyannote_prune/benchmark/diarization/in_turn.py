"""Diarize a protocol with several pipelines in turn"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..processes import killed_with_us
from .parts import Parts
from .variants import Variant
from .worker import Diarized, diarize, load


def diarize_in_turn(
    recordings: Sequence[Mapping[str, Any]],
    parts: Parts,
    variants: Mapping[str, Variant],
    num_rounds: int,
    report: Callable[[str, Diarized], None],
    start: Callable[[], Executor],
) -> Iterator[tuple[str, Diarized]]:
    """Diarize each recording with each pipeline, as often as there are rounds

    Parameters
    ----------
    recordings, parts, variants, num_rounds, report, start
        See `score_diarization`.

    Yields
    ------
    name : str
        Name of the pipeline.
    diarized : Diarized

    Raises
    ------
    ChildProcessError
        If the system ended a process.
    ValueError
        If a pipeline fails on a recording.
    """
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack, killed_with_us():
        processes = {name: stack.enter_context(start()) for name in variants}
        for name, variant in variants.items():
            with _readable_end(name):
                processes[name].submit(load, name, parts, variant).result()
        for i in range(num_rounds):
            for recording in recordings:
                uri = recording["uri"]
                # pipelines must not see references
                plain = {"uri": uri, "audio": recording["audio"]}
                for name, process in processes.items():
                    with _readable_end(name):
                        folder = Path(temporary) / str(i) / name
                        found = process.submit(diarize, name, plain, folder).result()
                    if found.error is not None:
                        raise ValueError(f"{name} failed on {uri!r}: {found.error}")
                    report(name, found)
                    yield name, found


@contextmanager
def _readable_end(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"The process of {name} was ended by the system, probably for lack of memory: choose "
            "fewer rows, or shorter recordings."
        ) from error
