"""Voices for simulations"""

from pathlib import Path

import numpy as np
from conversations import write_wav
from helpers import SHARED

FSDD = SHARED / "data" / "fsdd"


def generate_voices(folder: Path, num_speakers: int = 4, num_recordings: int = 10) -> Path:
    """Harmonic sounds, one pitch per speaker, with offsets, silences and levels of their own"""
    rng = np.random.default_rng(0)
    for s in range(num_speakers):
        (folder / f"speaker {s}").mkdir(parents=True)
        for r in range(num_recordings):
            t = np.arange(round(rng.uniform(0.3, 0.9) * 16000)) / 16000
            pitch = 90 * 1.3**s * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(2, 4) * t))
            phase = np.cumsum(2 * np.pi * pitch / 16000)
            voice = sum(np.sin(h * phase) / h for h in range(1, 6))
            audio = 0.02 * 2 ** (s % 6) * np.pad(voice, rng.integers(0, 8000, 2)) + 0.004 * (s % 6)
            write_wav(folder / f"speaker {s}" / f"{r:02d}.wav", audio)
    return folder
