"""Processes of measurements"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children


@contextmanager
def killed_with_us() -> Iterator[None]:
    """Kill child processes when this one is stopped: pools would wait for their work"""
    try:
        yield
    except BaseException:
        for child in active_children():
            child.kill()
        raise
