"""Commands that are stopped by a signal, and go on when they are run again"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """A command was stopped by a signal

    Parameters
    ----------
    signum : signal.Signals

    Attributes
    ----------
    status : int
        Exit status that shells expect: 128 more than the number of the signal.
    """

    def __init__(self, signum: signal.Signals):
        super().__init__(f"Stopped by {signum.name}: the same command goes on from there.")
        self.status = 128 + signum


@contextmanager
def interruptible() -> Iterator[None]:
    """Stop at once on SIGTERM, as on SIGINT, and say which signal it was

    Both raise KeyboardInterrupt where the command is. Lightning then ends a training, and exits as
    if it had failed: any exception counts, whatever was made of the first one. Signals that are
    ignored, by `nohup` for instance, still are.

    Raises
    ------
    Interrupted
        In place of any exception that comes after a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[signal.Signals] = []

    def stop(signum: int, frame):
        # the first one is enough for those who send it again and again, unless it is a person
        if not received or signum == signal.SIGINT:
            received.append(signal.Signals(signum))
            raise KeyboardInterrupt

    former = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    former = {s: handler for s, handler in former.items() if handler is not signal.SIG_IGN}
    for signum in former:
        signal.signal(signum, stop)
    try:
        yield
    except BaseException as error:
        if received:
            raise Interrupted(received[0]) from error
        raise
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
