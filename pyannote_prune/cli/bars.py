"""Progress bars of `apply`: recordings, and steps of the pipeline"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn


class Bars:
    """Show two progress bars, and print a line for each recording

    Where the output is a file or a pipe, there are only these lines.

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
        if completed is None:  # steps without parts are reported once, at their end
            completed = total = 1
        self.progress.update(self.step, description=step, total=total, completed=completed)

    def advance(self, line: str):
        """Count a recording as done, and print its line"""
        self.progress.update(self.recordings, advance=1)
        self.progress.console.print(line, highlight=False, soft_wrap=True)
