"""Former place of `pyannote_prune.wavlm.cost`, which release 0.1.0 documented"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

from .wavlm.cost import *  # noqa: F403
from .wavlm.cost import cost

warnings.warn(
    "`pyannote_prune.cost` is a function: its module is `pyannote_prune.wavlm.cost` since 0.2.",
    DeprecationWarning,
    stacklevel=2,
)


class _Module(ModuleType):
    """Importing this module puts it in the place of the function: it can be called as well"""

    __call__ = staticmethod(cost)


sys.modules[__name__].__class__ = _Module
