"""Augment training windows: noise, rooms, and other speakers"""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from pyannote.audio import Model
from pyannote.audio.core.io import get_audio_metadata
from pyannote.audio.tasks import SpeakerDiarization
from pyannote.core import SlidingWindowFeature
from torch import Tensor
from torch_audiomentations import AddBackgroundNoise, ApplyImpulseResponse, Compose, Identity
from torch_audiomentations.core.transforms_interface import BaseWaveformTransform
from torch_audiomentations.utils.io import Audio

from ..files.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Mixing:
    """Mix windows with speakers of other recordings

    Speakers of the other window are added to references, as speakers of their own. Only windows
    of the same batch are mixed, of different recordings, if they have no more than
    `max_speakers_per_chunk` speakers together, and none in common (which is not known where the
    protocol names speakers of each file apart: `scope: file`).

    pyannote.audio (4.0.7) has `MixSpeakerDiarization`, which may mix a window with itself or with
    the same speaker, and gives speakers of both windows the same place in references.

    Parameters
    ----------
    probability : float
        Share of windows to mix, in [0, 1], as far as there are others that fit.
    snr : (float, float)
        Lowest and highest ratio of the window to the one that is mixed in, in dB.
    """

    probability: float
    snr: tuple[float, float]

    def __post_init__(self):
        if not 0 <= self.probability <= 1:
            raise ValueError(f"`probability` must be in [0, 1], found {self.probability!r}.")
        if len(self.snr) != 2 or not self.snr[0] <= self.snr[1]:
            raise ValueError(f"`snr` must be two numbers, the lower one first, found {self.snr!r}.")

    def __call__(self, batch: Sequence[dict[str, Any]], max_speakers: int) -> list[dict[str, Any]]:
        """Mix windows of a batch

        Parameters
        ----------
        batch : list of dict
            Windows, as pyannote.audio's task prepares them: "X", "y" and "meta".
        max_speakers : int
            Largest number of speakers of a window.

        Returns
        -------
        mixed : list of dict
            New windows. The given ones stay as they are.
        """
        return [self._mix(window, batch, max_speakers) for window in batch]

    def _mix(self, window: dict, batch: Sequence[dict], max_speakers: int) -> dict:
        if random.random() >= self.probability:
            return window
        others = [other for other in batch if fits(window, other, max_speakers)]
        if not others:
            return window
        other, snr = random.choice(others), random.uniform(*self.snr)
        y = np.concatenate([window["y"].data, other["y"].data], axis=1)
        labels = [*window["y"].labels, *other["y"].labels]
        return window | {
            "X": window["X"] + gain(window["X"], other["X"], snr) * other["X"],
            "y": SlidingWindowFeature(y, window["y"].sliding_window, labels=labels),
        }


def fits(window: dict[str, Any], other: dict[str, Any], max_speakers: int) -> bool:
    """Whether another window has speakers, none of whom may be in the first one"""
    here, there = window["y"].labels, other["y"].labels
    return (
        window["meta"]["file"] != other["meta"]["file"]
        and 0 < len(there) <= max_speakers - len(here)
        # labels of files count from 0 in each of them
        and (_is_of_file(window) or _is_of_file(other) or not {*here} & {*there})
    )


def _is_of_file(window: dict[str, Any]) -> bool:
    return window["meta"]["scope"] == 0


def gain(waveform: Tensor, other: Tensor, snr: float) -> float:
    """Factor of another waveform that brings it `snr` dB below the first one, 1 beside silence"""
    here, there = (x.square().mean().sqrt().item() for x in (waveform, other))
    return here / there * 10 ** (-snr / 20) if here and there else 1.0


class Files(Audio):
    """Reader of parts of WAV files

    That of torch_audiomentations (0.12) asks torchaudio for headers, which torchaudio (2.9) no
    longer reads, and for parts of files, which it decodes as a whole.
    """

    @staticmethod
    def get_audio_metadata(file_path: str | Path) -> tuple[int, int]:
        metadata = get_audio_metadata({"audio": str(file_path)})
        sample_rate = cast(int, metadata.sample_rate)
        return round(cast(float, metadata.duration_seconds) * sample_rate), sample_rate

    def __call__(self, file: Any, sample_offset: int = 0, num_samples: int | None = None) -> Tensor:
        from torchcodec.decoders import AudioDecoder

        start = sample_offset / self.sample_rate
        stop = None if num_samples is None else start + num_samples / self.sample_rate
        found = AudioDecoder(str(file)).get_samples_played_in_range(start, stop)
        samples = self.downmix_and_resample(found.data, found.sample_rate)
        if num_samples is None:
            return samples
        # one sample more or less, when resampled
        return F.pad(samples, (0, num_samples - samples.shape[-1]))


def add_noise(folder: Path, probability: float, snr: tuple[float, float]) -> BaseWaveformTransform:
    """Make a transform that adds noise

    Parameters
    ----------
    folder : Path
        WAV files, in sub-folders as well: see `check_folder`.
    probability : float
        Share of windows to transform, in [0, 1].
    snr : (float, float)
        Lowest and highest signal-to-noise ratio, in dB.
    """
    low, high = snr
    options = {"min_snr_in_db": low, "max_snr_in_db": high, "output_type": "dict"}
    noise = AddBackgroundNoise(folder, p=probability, sample_rate=SAMPLE_RATE, **options)
    noise.audio = Files(SAMPLE_RATE)
    # folders are listed in any order
    noise.background_paths.sort()
    return noise


def reverberate(folder: Path, probability: float) -> BaseWaveformTransform:
    """Make a transform that convolves with impulse responses: see `add_noise`

    Direct sound stays where it is, hence references as well.
    """
    options = {"compensate_for_propagation_delay": True, "output_type": "dict"}
    rooms = ApplyImpulseResponse(folder, p=probability, sample_rate=SAMPLE_RATE, **options)
    rooms.audio = Files(SAMPLE_RATE)
    rooms.ir_paths.sort()
    return rooms


def one_after_another(transforms: Sequence[BaseWaveformTransform]) -> Compose | None:
    """Compose transforms, if there are any"""
    return Compose([*transforms], output_type="dict") if transforms else None


def has_audio(folder: Path) -> bool:
    """Whether a folder has WAV files, in sub-folders as well"""
    return any(path.suffix.lower() == ".wav" and path.is_file() for path in folder.rglob("*"))


class Augmentation(SpeakerDiarization):
    """Mixin for pyannote.audio's tasks: augment windows of a batch the same way, whoever makes it

    Random numbers come from the windows: they are the same in a training that was interrupted, in
    any worker, and leave all generators as they were. Validation windows are not augmented.

    Parameters
    ----------
    mixing : Mixing, optional
        Mix windows with speakers of other recordings. Defaults to no mixing. Then comes
        `augmentation`, as in pyannote.audio.
    """

    model: Model

    def __init__(self, *args: Any, mixing: Mixing | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.mixing = mixing

    def collate_fn(self, batch: list[dict[str, Any]], stage: str = "train") -> dict[str, Any]:
        """Make a batch of windows, and augment it if it is for training"""
        is_plain = self.mixing is None and isinstance(self.augmentation, Identity)
        if stage != "train" or is_plain:
            return super().collate_fn(batch, stage)
        with seeded(seed_of(batch)):
            if self.mixing is not None:
                # a number, once data are prepared
                batch = self.mixing(batch, cast(int, self.max_speakers_per_chunk))
            return super().collate_fn(batch, stage)


def seed_of(batch: Sequence[dict[str, Any]]) -> int:
    """Hash windows of a batch into a seed of 32 bits"""
    content = hashlib.blake2b(digest_size=4)
    for window in batch:
        content.update(str(window["meta"]["file"]).encode())
        # a sample every few milliseconds
        content.update(window["X"][..., ::101].contiguous().numpy().tobytes())
    return int.from_bytes(content.digest(), "big")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python and torch, for as long as the context lasts"""
    before = random.getstate()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # about targets, which keep their places
        warnings.filterwarnings("ignore", module="torch_audiomentations")
        random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
