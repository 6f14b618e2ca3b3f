"""Checks of waveforms in memory"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyannote.audio import Audio
from pyannote.audio.core.io import AudioFile
from pyannote.database import ProtocolFile

from ..wavlm.waveforms import check_samples


class CheckedAudio(Audio):
    """Reader of pyannote.audio that checks waveforms first"""

    @staticmethod
    def validate_file(file: AudioFile) -> Mapping[str, Any]:
        """Validate a file: see `pyannote.audio.Audio`"""
        if isinstance(file, Mapping) and "waveform" in file:
            check_waveform(file["waveform"])
        return Audio.validate_file(file)


def check_waveform(waveform: Any) -> None:
    """Check the "waveform" of a file

    Parameters
    ----------
    waveform : (num_channels, num_samples) torch.Tensor
        Floating-point samples, in [-1, 1].

    Raises
    ------
    ValueError
        If type or shape are wrong: the message says how to convert it.
    """
    check_samples(waveform, "waveform")
    if waveform.ndim == 2 and waveform.shape[0] <= waveform.shape[1]:
        return
    cures = {1: "give `waveform[None]`", 2: "give `waveform.T`"}
    raise ValueError(
        "`waveform` must have shape (num_channels, num_samples), found "
        f"{tuple(waveform.shape)}: {cures.get(waveform.ndim, 'give one recording at a time')}."
    )


def in_single_precision(file: AudioFile) -> AudioFile:
    """Check the waveform of a file, if it has one, and convert it to single precision

    Raises
    ------
    ValueError
        See `check_waveform`.
    """
    if not isinstance(file, Mapping) or "waveform" not in file:
        return file
    waveform = file["waveform"]
    check_waveform(waveform)
    if waveform.dtype == torch.float32:
        return file
    copy = ProtocolFile(file) if isinstance(file, ProtocolFile) else dict(file)
    copy["waveform"] = waveform.float()
    return copy
