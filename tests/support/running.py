"""Small protocols, and the command line"""

from pathlib import Path

import numpy as np
from conversations import write_wav
from typer.testing import CliRunner

from pyannote_prune.cli import app
from pyannote_prune.data.references import Turn, rttm_line
from pyannote_prune.data.write import Reference, write_protocol

NAME = "Small.SpeakerDiarization.Meetings"
DURATION = 4.0  # seconds


def run(*arguments, code: int = 0) -> str:
    """Output of `pyannote-prune apply`, on one line"""
    result = CliRunner().invoke(app, ["apply", *map(str, arguments), "--device", "cpu"])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def write_recording(path: Path, seed: int = 0):
    rng = np.random.default_rng(seed)
    write_wav(path, 0.1 * rng.standard_normal(round(16000 * DURATION)))


def reference(speakers: tuple[str, str] = ("Ann", "Bob")) -> Reference:
    """Two turns"""
    turns = [Turn(start, start + 1.5, who) for start, who in zip((0.5, 2.0), speakers, strict=True)]
    return Reference(turns, [(0.0, DURATION)])


def rttm(uri: str, speakers: tuple[str, str] = ("Ann", "Bob")) -> str:
    """Lines of these turns"""
    return "".join(rttm_line(uri, turn, decimals=3) for turn in reference(speakers).turns)


def write_small_protocol(folder: Path, **subsets: tuple[str, ...]) -> Path:
    """`database.yml` of a protocol, by default a test set of recordings `one` and `two`"""
    subsets = subsets or {"test": ("one", "two")}
    folder.mkdir(parents=True, exist_ok=True)
    for uris in subsets.values():
        for seed, uri in enumerate(uris):
            write_recording(folder / f"{uri}.wav", seed)
    references = {subset: dict.fromkeys(uris, reference()) for subset, uris in subsets.items()}
    return write_protocol(folder, NAME, references)


def edit(path: Path, old: str, new: str):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
