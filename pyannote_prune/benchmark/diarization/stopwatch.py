"""Time of each step of a pipeline"""

from __future__ import annotations

import time


class Stopwatch:
    """Hook of a pipeline that adds up the time of each of its steps"""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def __call__(self, step: str, *args, **kwargs):
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self.last
        self.last = now
