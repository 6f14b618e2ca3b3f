"""Generated conversations, and folders that tests share"""

import os
import shutil
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from pyannote.database import registry

from pyannote_prune.data.references import Turn
from pyannote_prune.data.write import Reference, write_protocol

REMEMBERED = (registry.configs, registry.sources, registry.databases)


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """Folder that `make` fills, once for all test processes"""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            draft = root / f"{name}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            make(draft)
            draft.rename(folder)
    return folder


def generate_conversations(folder: Path, name: str = "Generated") -> Path:
    """Two voices (harmonic sounds of different pitch) that take turns, and sometimes overlap

    The protocol is {name}.SpeakerDiarization.Mini.
    """
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    subsets = {"train": 4, "development": 2}
    return write_protocol(
        folder,
        f"{name}.SpeakerDiarization.Mini",
        {
            subset: {
                uri: Reference(_generate(folder / f"{uri}.wav", rng), [(0.0, 30.0)])
                for uri in (f"{subset}{i}" for i in range(num_files))
            }
            for subset, num_files in subsets.items()
        },
    )


def _generate(path: Path, rng: np.random.Generator) -> list[Turn]:
    """Write one conversation of 30 s, and return its turns"""
    audio, turns = 0.01 * rng.standard_normal(16000 * 30), []
    for k, start in enumerate(np.arange(1.0, 28.0, 2.5)):
        speaker, duration = k % 2, rng.uniform(1.0, 3.5)
        t = np.arange(round(min(duration, 30 - start) * 16000)) / 16000
        pitch = (110, 190)[speaker] * (1 + 0.05 * np.sin(2 * np.pi * 3 * t))
        voice = sum(np.sin(h * np.cumsum(2 * np.pi * pitch / 16000)) / h for h in (1, 2, 3))
        offset = round(start * 16000)
        audio[offset : offset + len(t)] += 0.1 * voice
        turns.append(Turn(start, start + len(t) / 16000, f"s{speaker}"))
    write_wav(path, audio)
    return turns


def write_wav(path: Path, audio: np.ndarray, sample_rate: int = 16000):
    """Write (num_samples,) or (num_samples, num_channels) samples in [-1, 1]"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if audio.ndim == 1 else audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
