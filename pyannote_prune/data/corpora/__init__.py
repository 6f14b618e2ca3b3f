"""Convert the three corpora of the paper from their official layouts for `database.yml`"""

from ..references import Turn
from .layouts import CORPORA, Corpus
from .preparation import prepare
from .recordings import Recording
from .summary import Summary
from .textgrid import read_textgrid

__all__ = ["CORPORA", "Corpus", "Recording", "Summary", "Turn", "prepare", "read_textgrid"]
