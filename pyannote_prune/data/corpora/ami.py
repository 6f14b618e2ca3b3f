"""AMI: first microphone of the first array, "only words" references

Carletta et al., "The AMI Meeting Corpus: A Pre-announcement", MLMI 2005. References, subsets and
annotated regions come from Landini et al., "Bayesian HMM clustering of x-vector sequences (VBx)
in speaker diarization", Computer Speech & Language 2022.
"""

from __future__ import annotations

from pathlib import Path

from .recordings import Recording

ORIGIN = (
    "https://groups.inf.ed.ac.uk/ami/download/ (audio) and "
    "https://github.com/BUTSpeechFIT/AMI-diarization-setup (references)"
)
PARTS = {"train": "train", "development": "dev", "test": "test"}
# training meetings whose arrays were lost: they are in the list, but cannot be downloaded
WITHOUT_ARRAY = {"IS1003b", "IS1007d"}


def find(source: Path) -> dict[str, list[Recording]]:
    """Recordings of each subset"""
    corpus, setup = source / "amicorpus", source / "AMI-diarization-setup"
    found = {}
    for subset, part in PARTS.items():
        meetings = setup / "lists" / f"{part}.meetings.txt"
        if not meetings.is_file():
            raise FileNotFoundError(
                f"`source` must hold amicorpus and AMI-diarization-setup, found no "
                f"{str(meetings)!r}: download from {ORIGIN}."
            )
        found[subset] = [
            Recording(
                uri=uri,
                audio=corpus / uri / "audio" / f"{uri}.Array1-01.wav",
                reference=setup / "only_words" / "rttms" / part / f"{uri}.rttm",
                regions=setup / "uems" / part / f"{uri}.uem",
            )
            for uri in meetings.read_text(encoding="utf-8").split()
            if uri not in WITHOUT_ARRAY
        ]
    return found
