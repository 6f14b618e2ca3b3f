"""Read recordings of single speakers"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from pathlib import Path

import numpy as np
import torch
from pyannote.audio import Audio
from torchaudio.functional import resample

from ...files.audio import SAMPLE_RATE
from ..audio_files import count_others, decodable, name_of, select_audio
from ..decoding import unreadable
from ..references import name_rule

# shares of the recordings of each speaker in subsets other than training
SHARES = {"test": 0.2, "development": 0.1}

LEVEL = 0.05  # root mean square of speech, of full scale
FRAME = 160  # samples (10 ms) over which energy is measured
FLOOR = 10 ** (-30 / 20)  # of the loudest frame: quieter ones are not speech
MARGIN = 2  # frames that are kept around speech


@dataclass(frozen=True)
class Excerpt:
    """Excerpt of an audio file, where one speaker speaks

    Parameters
    ----------
    path : Path
    start, end : int, optional
        Samples at 16 kHz. Default to the whole file.
    take : int, optional
        Excerpts of the same take are in the same subset.
    """

    path: Path
    start: int = 0
    end: int | None = None
    take: int | None = None

    def overlaps(self, other: Excerpt) -> bool:
        """Whether two excerpts have samples of one file in common"""
        ends = [np.inf if one.end is None else one.end for one in (self, other)]
        return self.path == other.path and self.start < ends[1] and other.start < ends[0]


def find_voices(folder: Path) -> dict[str, list[Excerpt]]:
    """Find recordings of each speaker

    Parameters
    ----------
    folder : Path
        Either one folder of audio files per speaker, or one audio file per speaker and
        `index.csv`, with columns `speaker`, `start_sample` and `end_sample` (at 16 kHz, exclusive),
        one row per recording. A column `take` is optional.

    Raises
    ------
    ValueError
        If there is no recording, if `index.csv` is malformed, or if pyannote.database would read
        the name of a speaker as another one.
    OSError
        If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(
            f"`voices` must be a folder of recordings, found {str(folder)!r}: no such folder."
        )
    index = folder / "index.csv"
    try:
        voices = _read_index(index) if index.is_file() else _list_files(folder)
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(index)!r} must be text in UTF-8 ({error}): convert it.") from error
    for speaker in voices:
        if (rule := name_rule(speaker)) is not None:
            raise ValueError(
                f"Names of speakers of `voices` must be {rule}, found {speaker!r} in "
                f"{str(index if index.is_file() else folder)!r}: rename this speaker."
            )
    if not voices:
        raise ValueError(
            f"`voices` must be a folder of recordings, found none in {str(folder)!r}: it has one "
            "folder of audio files per speaker, or one audio file per speaker and `index.csv`."
        )
    return voices


def count_unused(folder: Path, voices: Mapping[str, Sequence[Excerpt]]) -> str:
    """Count unused files, by suffix: see `count_others`"""
    used = {recording.path for recordings in voices.values() for recording in recordings}
    return count_others(folder, used | {folder / "index.csv"}, recursive=True)


def folders_without_audio(folder: Path) -> list[str]:
    """Sub-folders of speakers of whom there is no recording, where speakers have folders"""
    if (folder / "index.csv").is_file():
        return []
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    return [
        path.name
        for path in folders
        if not path.name.startswith(".") and not select_audio(path.rglob("*"))
    ]


def _list_files(folder: Path) -> dict[str, list[Excerpt]]:
    voices = {}
    for speaker in sorted(path for path in folder.iterdir() if path.is_dir()):
        paths = select_audio(speaker.rglob("*"))
        name = name_of(speaker.name)
        if name in voices:
            raise ValueError(
                f"Names of speakers of `voices` must differ, also once spaces are underscores, "
                f"found {name!r} twice in {str(folder)!r}: rename one of these folders."
            )
        if paths:
            voices[name] = [Excerpt(path) for path in paths]
    return voices


def _read_index(index: Path) -> dict[str, list[Excerpt]]:
    files = {path.stem: path for path in select_audio(index.parent.iterdir())}
    voices: dict[str, list[Excerpt]] = {}
    with index.open(newline="", encoding="utf-8-sig") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                take = int(row["take"]) if row.get("take") else None
                start, end = int(row["start_sample"]), int(row["end_sample"])
                voices.setdefault(row["speaker"], []).append(
                    Excerpt(files[row["speaker"]], start, end, take)
                )
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{index}, line {number}: must have `speaker`, of which there is an audio file "
                    f"of that name, `start_sample` and `end_sample`, found {dict(row)}."
                ) from error
    return voices


def split(recordings: Sequence[Excerpt], subset: str) -> list[Excerpt]:
    """Select recordings of a subset: last takes for test, the ones before for development

    Parameters
    ----------
    recordings : sequence of Excerpt
        Recordings of one speaker.
    subset : {"train", "development", "test"}

    Raises
    ------
    ValueError
        If there are fewer than three takes: each subset needs one.
    """
    # a recording without take is a take of its own
    keys = [i if r.take is None else r.take for i, r in enumerate(recordings)]
    takes = sorted(set(keys))
    if len(takes) < 3:
        raise ValueError(
            f"A speaker must have 3 recordings at least, one per subset, found {len(takes)} in "
            f"{str(recordings[0].path.parent)!r}: cut longer ones, or remove the speaker."
        )
    num_test, num_development = (max(1, round(SHARES[name] * len(takes))) for name in SHARES)
    bounds = {
        "train": (0, len(takes) - num_test - num_development),
        "development": (len(takes) - num_test - num_development, len(takes) - num_test),
        "test": (len(takes) - num_test, len(takes)),
    }
    chosen = set(takes[slice(*bounds[subset])])
    return [r for r, key in zip(recordings, keys, strict=True) if key in chosen]


def read(recording: Excerpt, speed: float = 1.0) -> np.ndarray:
    """Read the samples of a recording, centered, trimmed, and at a common level

    A model could otherwise recognize speakers by level, offset or silence, without their voices.

    Parameters
    ----------
    recording : Excerpt
    speed : float, optional
        Factor of speed, higher-pitched above 1. Defaults to 1.

    Returns
    -------
    samples : (num_samples,) np.ndarray

    Raises
    ------
    ValueError
        If the recording is silent.
    """
    samples = _decode(recording.path)[recording.start : recording.end]
    samples = samples - samples.mean() if len(samples) else samples
    energy = frame_level(samples)
    if not len(energy) or not energy.max() > 1e-5:
        raise ValueError(
            f"Recordings must not be silent, found {str(recording.path)!r}, samples "
            f"{recording.start} to {recording.end or 'the end'}: remove it."
        )
    active = np.flatnonzero(energy > FLOOR * energy.max())
    first, last = max(0, active[0] - MARGIN), active[-1] + 1 + MARGIN
    level = np.sqrt((energy[active] ** 2).mean())
    samples = samples[first * FRAME : last * FRAME] * (LEVEL / level)
    if speed == 1.0:
        return samples
    # speed changes by reading the same samples at another rate
    rate = round(100 * speed)
    divisor = gcd(rate, 100)
    return resample(torch.from_numpy(samples), rate // divisor, 100 // divisor).numpy()


@lru_cache(maxsize=64)
def _decode(path: Path) -> np.ndarray:
    try:
        with decodable(path) as audio:
            waveform, _ = Audio(sample_rate=SAMPLE_RATE, mono="downmix")(audio)
    except RuntimeError as error:
        raise unreadable(path, error) from error
    return waveform[0].numpy()


def frame_level(samples: np.ndarray) -> np.ndarray:
    """Root mean square of each frame, the last one being padded"""
    num_frames = -(-len(samples) // FRAME)
    padded = np.pad(samples, (0, num_frames * FRAME - len(samples)))
    return np.sqrt((padded.reshape(num_frames, FRAME) ** 2).mean(1))
