"""Small protocols, and the command line"""

from pathlib import Path

import numpy as np
from conversations import write_wav
from typer.testing import CliRunner

from pyannote_prune.cli import app

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


def rttm(uri: str, speakers: tuple[str, str] = ("Ann", "Bob")) -> str:
    """Two turns"""
    return "".join(
        f"SPEAKER {uri} 1 {start} 1.500 <NA> <NA> {speaker} <NA> <NA>\n"
        for start, speaker in zip(("0.500", "2.000"), speakers, strict=True)
    )


def write_protocol(folder: Path, **subsets: tuple[str, ...]) -> Path:
    """`database.yml` of a protocol, by default a test set of recordings `one` and `two`"""
    subsets = subsets or {"test": ("one", "two")}
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["Databases: {Small: '{uri}.wav'}", "Protocols:", "  Small:", "    SpeakerDiarization:"]
    lines += ["      Meetings:", "        scope: file"]
    for subset, uris in subsets.items():
        for seed, uri in enumerate(uris):
            write_recording(folder / f"{uri}.wav", seed)
        (folder / f"{subset}.lst").write_text("".join(f"{uri}\n" for uri in uris))
        (folder / f"{subset}.rttm").write_text("".join(map(rttm, uris)))
        regions = "".join(f"{uri} 1 0.000 {DURATION:.3f}\n" for uri in uris)
        (folder / f"{subset}.uem").write_text(regions)
        lines += [
            f"        {subset}:",
            f"          uri: {subset}.lst",
            f"          annotation: {subset}.rttm",
            f"          annotated: {subset}.uem",
        ]
    (folder / "database.yml").write_text("\n".join(lines) + "\n")
    return folder / "database.yml"


def edit(path: Path, old: str, new: str):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
