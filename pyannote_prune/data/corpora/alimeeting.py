"""AliMeeting: first channel of the far-field array

Yu et al., "M2MeT: The ICASSP 2022 Multi-Channel Multi-Party Meeting Transcription Challenge",
ICASSP 2022.
"""

from __future__ import annotations

import re
from pathlib import Path

from .recordings import Recording, names

ORIGIN = "https://www.openslr.org/119/"
PARTS = {"train": "Train", "development": "Eval", "test": "Test"}


def find(source: Path) -> dict[str, list[Recording]]:
    """Recordings of each subset, with the names of their audio files"""
    return {subset: _find(source, part) for subset, part in PARTS.items()}


def _find(source: Path, part: str) -> list[Recording]:
    # the archive of the training part has no outer folder, others have one
    folder, outer = source / f"{part}_Ali_far", source / f"{part}_Ali" / f"{part}_Ali_far"
    folder = outer if outer.is_dir() else folder
    audio, references = folder / "audio_dir", folder / "textgrid_dir"
    # R0003_M0046_MS002: room, meeting, array. Its TextGrid is R0003_M0046.
    found = {name: re.sub(r"_MS\d+$", "", name) for name in names(audio, ".wav")}
    silent = names(references, ".TextGrid") - set(found.values())
    # recordings without audio: `check_files` reports the missing file
    found |= {f"{meeting}_MS*": meeting for meeting in silent}
    if not found:
        raise FileNotFoundError(
            f"`source` must hold Train_Ali_far, Eval_Ali and Test_Ali, found nothing in "
            f"{str(folder)!r}: download from {ORIGIN}."
        )
    return [
        Recording(
            uri=uri,
            audio=audio / f"{uri}.wav",
            reference=references / f"{meeting}.TextGrid",
        )
        for uri, meeting in sorted(found.items())
    ]
