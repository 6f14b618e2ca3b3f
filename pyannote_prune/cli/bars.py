"""Progress: recordings, and the step that the pipeline is at"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn


class Bars:
    """Two bars, and a line for each recording, which is all that files and pipes get

    Parameters
    ----------
    num_recordings : int
    console : rich.console.Console
    """

    def __init__(self, num_recordings: int, console: Console):
        columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=console)
        self.recordings = self.progress.add_task("recordings", total=num_recordings)
        self.step = self.progress.add_task("", total=None)

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *args):
        self.progress.update(self.step, visible=False)
        self.progress.stop()

    def hook(
        self,
        step: str,
        artifact: Any,
        file: Any = None,
        total: int | None = None,
        completed: int | None = None,
    ):
        """Hook of a pipeline: see `pyannote.audio.pipelines.utils.hook`"""
        if completed is None:  # a step without parts is reported once it is done
            completed = total = 1
        self.progress.update(self.step, description=step, total=total, completed=completed)

    def advance(self, line: str):
        """A recording is done"""
        self.progress.update(self.recordings, advance=1)
        self.progress.console.print(line, highlight=False, soft_wrap=True)
