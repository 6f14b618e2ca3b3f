"""Leave signals to the command line during training"""

from __future__ import annotations

import signal
import threading

import lightning


class KeepSignals(lightning.Callback):
    """Leave SIGTERM to whoever handles it when this is made, if somebody does

    Lightning (2.6) would end the training as if it was finished, and its handler waits for the
    other processes of the training, which wait for this one.
    """

    def __init__(self):
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer, pl_module):
        self._restore()

    def on_validation_start(self, trainer, pl_module):
        self._restore()

    def _restore(self):
        if callable(self.handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)
