"""Law of readers of files: work, or raise an error that names file and field"""

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, settings

# far above the duration of any case
PATIENCE = 30  # seconds

# longer messages are not readable
LONGEST_MESSAGE = 4000

fuzzing = settings(
    # of each test
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", 50)),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@contextmanager
def works_or_explains(*paths: Path | str, fields: Collection[str] = ()) -> Iterator[None]:
    """Let readable errors pass, which the command line shows without traceback

    Parameters
    ----------
    *paths : Path or str
        The message must have the name of one of these files.
    fields : list of str, optional
        The message must also have one of these words, if there are any.
    """
    with no_hang():
        try:
            yield
        except (OSError, ValueError) as error:
            message = str(error)
            assert any(Path(path).name in message for path in paths), message
            assert not fields or any(str(field) in message for field in fields), (fields, message)
            assert len(message) < LONGEST_MESSAGE, message[:LONGEST_MESSAGE]
            assert "Traceback" not in message
            message.encode()  # a terminal can show it


@contextmanager
def no_hang() -> Iterator[None]:
    def refuse(*_):
        raise AssertionError(f"not done after {PATIENCE} s")

    previous = signal.signal(signal.SIGALRM, refuse)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
