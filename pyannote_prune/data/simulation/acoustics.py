"""Reverberation and noise"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from ...files.audio import SAMPLE_RATE

# direct-to-reverberant ratio, in dB: it depends on the distance between speaker and microphone
DIRECT_TO_REVERBERANT = (0.0, 12.0)


def reverberate(samples: np.ndarray, t60: float, rng: np.random.Generator) -> np.ndarray:
    """Simple reverberation: direct sound, then noise that decays exponentially

    Parameters
    ----------
    samples : (num_samples,) np.ndarray
    t60 : float
        Time after which reverberation is 60 dB lower, in seconds.
    rng : np.random.Generator
        Draws an impulse response and a distance, for one speaker in one room.

    Returns
    -------
    reverberated : (num_samples,) np.ndarray
        Direct sound is not delayed, and the overall level is the same.
    """
    num_samples = max(2, round(t60 * SAMPLE_RATE))
    decay = 10 ** (-3 * np.arange(num_samples) / num_samples)
    tail = rng.standard_normal(num_samples) * decay
    tail[0] = 0.0
    ratio = 10 ** (rng.uniform(*DIRECT_TO_REVERBERANT) / 20)
    response = tail / np.sqrt((tail**2).sum()) / ratio
    response[0] = 1.0
    wet = fftconvolve(samples, response)[: len(samples)]
    level = np.sqrt((samples**2).mean() / max((wet**2).mean(), 1e-20))
    return (wet * level).astype(samples.dtype)


def noise(num_samples: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary noise, between white and pink

    Parameters
    ----------
    num_samples : int
    level : float
        Root mean square.
    rng : np.random.Generator
    """
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies = np.maximum(np.arange(len(spectrum)), 1)
    spectrum *= frequencies ** (-0.5 * rng.uniform(0.0, 1.0))
    samples = np.fft.irfft(spectrum, num_samples)
    return samples * (level / np.sqrt((samples**2).mean()))
