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
    """Recordings of each subset, named after their meeting"""
    return {subset: _find(source, part) for subset, part in PARTS.items()}


def _find(source: Path, part: str) -> list[Recording]:
    # the archive of the training part has no outer folder, others have one
    folder, outer = source / f"{part}_Ali_far", source / f"{part}_Ali" / f"{part}_Ali_far"
    folder = outer if outer.is_dir() else folder
    audio, references = {}, folder / "textgrid_dir"
    for name in sorted(names(folder / "audio_dir", ".wav")):
        # R0003_M0046_MS002: room, meeting, array. Its TextGrid is R0003_M0046.
        uri = re.sub(r"_MS\d+$", "", name)
        path = folder / "audio_dir" / f"{name}.wav"
        if uri in audio:
            raise ValueError(
                f"`source` must hold one recording of each meeting, found {str(audio[uri])!r} and "
                f"{str(path)!r}: keep one of them."
            )
        audio[uri] = path
    uris = audio.keys() | names(references, ".TextGrid")
    if not uris:
        raise FileNotFoundError(
            f"`source` must hold Train_Ali_far, Eval_Ali and Test_Ali, found nothing in "
            f"{str(folder)!r}: download from {ORIGIN}."
        )
    return [
        Recording(
            uri=uri,
            audio=audio.get(uri, folder / "audio_dir" / f"{uri}_MS*.wav"),
            reference=references / f"{uri}.TextGrid",
        )
        for uri in sorted(uris)
    ]
