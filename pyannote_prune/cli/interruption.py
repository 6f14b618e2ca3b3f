"""Stop commands on signals, so that they can be resumed"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """Exception for a command that was stopped by a signal

    Parameters
    ----------
    signum : signal.Signals

    Attributes
    ----------
    status : int
        Exit status that shells expect: 128 more than the number of the signal.
    """

    def __init__(self, signum: signal.Signals):
        super().__init__(f"Stopped by {signum.name}: run the same command again to resume.")
        self.status = 128 + signum


@contextmanager
def interruptible() -> Iterator[None]:
    """Stop at once on SIGTERM, as on SIGINT, and report the signal

    Both raise KeyboardInterrupt in the command. Lightning may turn it into another exception, as if
    training had failed: after a signal, any exception counts. Signals that were ignored before, by
    `nohup` for instance, stay ignored.

    Raises
    ------
    Interrupted
        In place of any exception raised after a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[signal.Signals] = []

    def stop(signum: int, frame):
        # job schedulers repeat SIGTERM, of which the first one counts; users may repeat Ctrl-C
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
