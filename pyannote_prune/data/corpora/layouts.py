"""Layouts of the corpora, by name"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from . import aishell4, alimeeting, ami
from .recordings import Recording


class Corpus(str, Enum):
    """Corpora of the paper"""

    ami = "ami"
    aishell4 = "aishell4"
    alimeeting = "alimeeting"


@dataclass(frozen=True)
class Layout:
    """Official layout of a corpus, and its names here

    Parameters
    ----------
    name : str
        Name of the database and of its folder.
    protocol : str
        Full name of the protocol in `database.yml`.
    origin : str
        Addresses to download it from.
    find : callable
        Find the recordings of each subset in the folder of downloaded files.
    """

    name: str
    protocol: str
    origin: str
    find: Callable[[Path], dict[str, list[Recording]]]


CORPORA = {
    Corpus.ami: Layout("AMI", "AMI.SpeakerDiarization.SDM", ami.ORIGIN, ami.find),
    Corpus.aishell4: Layout(
        "AISHELL4", "AISHELL4.SpeakerDiarization.FirstChannel", aishell4.ORIGIN, aishell4.find
    ),
    Corpus.alimeeting: Layout(
        "AliMeeting", "AliMeeting.SpeakerDiarization.Far", alimeeting.ORIGIN, alimeeting.find
    ),
}
