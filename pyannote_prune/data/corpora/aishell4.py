"""AISHELL-4: first channel of the array

Fu et al., "AISHELL-4: An Open Source Dataset for Speech Enhancement, Separation, Recognition and
Speaker Diarization in Conference Scenario", Interspeech 2021.
"""

from __future__ import annotations

from pathlib import Path

from .recordings import Recording, names

ORIGIN = "https://www.openslr.org/111/"
PARTS = {"train": ("train_L", "train_M", "train_S"), "test": ("test",)}
# The corpus has no development subset. DiariZen, hence the paper, uses these training recordings:
# github.com/BUTSpeechFIT/DiariZen, recipes/diar_ssl/data/AMI_AliMeeting_AISHELL4/dev.
DEVELOPMENT = {
    "train_L": ("20200706_L_R001S01C01", "20200708_L_R002S07C01", "20200709_L_R002S08C01"),
    "train_M": (
        *("20200616_M_R001S01C01", "20200620_M_R002S07C01", "20200620_M_R002S08C01"),
        *("20200622_M_R002S02C01", "20200704_M_R002S06C01", "20200710_M_R002S03C01"),
        *("20200710_M_R002S07C01", "20200712_M_R002S05C01", "20200715_M_R002S03C01"),
        "20200715_M_R002S06C01",
    ),
    "train_S": (
        *("20200623_S_R001S06C01", "20200701_S_R001S03C01", "20200702_S_R001S02C01"),
        *("20200805_S_R001S01C01", "20200805_S_R001S03C01"),
    ),
}


def find(source: Path) -> dict[str, list[Recording]]:
    """Recordings of each subset"""
    found: dict[str, list[Recording]] = {"train": [], "development": [], "test": []}
    for subset, parts in PARTS.items():
        for part in parts:
            audio, references = source / part / "wav", source / part / "TextGrid"
            # both files of a recording are needed
            uris = names(audio, ".flac") | names(references, ".rttm")
            if not uris:
                raise FileNotFoundError(
                    f"`source` must hold train_L, train_M, train_S and test, found nothing in "
                    f"{str(audio)!r} and {str(references)!r}: download {part}.tar.gz from {ORIGIN}."
                )
            development = DEVELOPMENT.get(part, ())
            for uri in sorted(uris.union(development)):
                recording = Recording(uri, audio / f"{uri}.flac", references / f"{uri}.rttm")
                found["development" if uri in development else subset].append(recording)
    return found
