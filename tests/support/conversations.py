"""Made-up conversations, and folders that tests share"""

import os
import shutil
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from pyannote.database import registry

REMEMBERED = (registry.configs, registry.sources, registry.databases)


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """Folder that `make` fills, once for all processes that run tests"""
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
    for subset, num_files in (("train", 4), ("development", 2)):
        names, turns = [f"{subset}{i}" for i in range(num_files)], []
        for uri in names:
            audio = 0.01 * rng.standard_normal(16000 * 30)
            for k, start in enumerate(np.arange(1.0, 28.0, 2.5)):
                speaker, duration = k % 2, rng.uniform(1.0, 3.5)
                t = np.arange(round(min(duration, 30 - start) * 16000)) / 16000
                pitch = (110, 190)[speaker] * (1 + 0.05 * np.sin(2 * np.pi * 3 * t))
                voice = sum(np.sin(h * np.cumsum(2 * np.pi * pitch / 16000)) / h for h in (1, 2, 3))
                offset = round(start * 16000)
                audio[offset : offset + len(t)] += 0.1 * voice
                where = f"{uri} 1 {start:.3f} {len(t) / 16000:.3f}"
                turns.append(f"SPEAKER {where} <NA> <NA> s{speaker} <NA> <NA>")
            write_wav(folder / f"{uri}.wav", audio)
        (folder / f"{subset}.lst").write_text("\n".join(names) + "\n")
        (folder / f"{subset}.rttm").write_text("\n".join(turns) + "\n")
        (folder / f"{subset}.uem").write_text("".join(f"{n} 1 0.000 30.000\n" for n in names))
    subsets = "".join(
        f"""
        {subset}:
          uri: {subset}.lst
          annotation: {subset}.rttm
          annotated: {subset}.uem"""
        for subset in ("train", "development")
    )
    (folder / "database.yml").write_text(
        f"""Protocols:
  {name}:
    SpeakerDiarization:
      Mini:
        scope: file{subsets}
Databases:
  {name}: "{{uri}}.wav"
"""
    )
    return folder / "database.yml"


def write_wav(path: Path, audio: np.ndarray, sample_rate: int = 16000):
    """Write (num_samples,) or (num_samples, num_channels) samples in [-1, 1]"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if audio.ndim == 1 else audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
