"""Decode audio files whose windows cannot be read one by one

pyannote.audio (4.0.7) reads windows of a file at times of its container, and takes the duration
that the header gives. Compressed files often start later than 0, or have a header without duration,
or with an estimate: they are decoded as a whole, once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import IOBase
from pathlib import Path
from typing import Any

from pyannote.audio import Audio
from pyannote.audio.core.io import get_audio_metadata
from pyannote.database import ProtocolFile

from ..files.audio import SAMPLE_RATE

# codecs whose headers give the exact number of samples
EXACT = ("pcm_", "flac")

# codecs whose windows are found exactly if their container has an index: MP3 is not one of them
INDEXED = (*EXACT, "adpcm_", "alac", "aac", "opus", "vorbis")

# duration that is decoded at both ends of a compressed file, in seconds
EDGE = 0.1


@dataclass(frozen=True)
class Extent:
    """Duration of an audio file, and how it can be read

    Parameters
    ----------
    duration : float
        In seconds.
    seekable : bool
        Whether windows that are read from the file are the same as in the decoded waveform.
    """

    duration: float
    seekable: bool


def decoded(file: Mapping[str, Any]) -> Mapping[str, Any]:
    """Decode a recording whose windows cannot be read exactly, a compressed one for instance

    Parameters
    ----------
    file : dict
        With "audio", or "waveform" and "sample_rate".

    Returns
    -------
    file : dict
        The same one if its header is exact, as for WAV and FLAC. Otherwise a copy with "waveform",
        whose first sample is at time 0: all channels, at the original sample rate, or at 16 kHz if
        it is not a multiple of 100 Hz.

    Raises
    ------
    ValueError
        If the file cannot be decoded.
    """
    if "waveform" in file or "audio" not in file:
        return file
    source = file["audio"]
    try:
        if is_exact(get_audio_metadata({"audio": source})):
            return file
        waveform, sample_rate = Audio()({"audio": source})
    except RuntimeError as error:
        raise unreadable(source, error) from error
    if sample_rate % 100:
        # windows of half samples, which pyannote.audio (4.0.7) rounds to different lengths
        resampled = {"waveform": waveform, "sample_rate": sample_rate}
        waveform, sample_rate = Audio(sample_rate=SAMPLE_RATE)(resampled)
    copy = ProtocolFile(file) if isinstance(file, ProtocolFile) else dict(file)
    copy["waveform"], copy["sample_rate"] = waveform, sample_rate
    return copy


def get_duration(file: Mapping[str, Any]) -> float:
    """Duration of the decoded audio of a recording, in seconds: headers may be wrong

    Raises
    ------
    ValueError
        If the file cannot be decoded.
    """
    if "waveform" in file:
        return file["waveform"].shape[-1] / file["sample_rate"]
    if isinstance(file["audio"], IOBase):
        return _decoded_duration(file["audio"])
    return extent(str(file["audio"])).duration


def extent(path: str) -> Extent:
    """Duration of an audio file, and whether windows can be read from it

    Raises
    ------
    ValueError
        If the file cannot be decoded.
    """
    try:
        duration = _seekable_duration(path)
        if duration is not None:
            return Extent(duration, seekable=True)
        return Extent(_decoded_duration(path), seekable=False)
    except RuntimeError as error:
        if "No audio frames" in str(error):
            return Extent(0.0, seekable=False)
        raise unreadable(path, error) from error


def unreadable(source: Any, error: Exception) -> ValueError:
    """Error with the name of an audio file, and the reason why it could not be decoded"""
    name = getattr(source, "name", source) if isinstance(source, IOBase) else source
    return ValueError(
        f"`audio` could not be read: {str(name)!r} ({reason(error)}). Check the file, or convert "
        "it to WAV."
    )


def reason(error: Exception) -> str:
    """Message of an error of torchcodec, in one line, without the position in its source"""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # "function, /some/file.cpp:12, reason"
    return re.sub(r"^.*\.cpp:\d+, ", "", lines[0])


def is_exact(metadata: Any) -> bool:
    """Whether a header (`AudioDecoder(path).metadata`) gives the place of each sample"""
    return (
        bool(metadata.duration_seconds_from_header)
        and not metadata.begin_stream_seconds_from_header
        and str(metadata.codec).startswith(EXACT)
    )


def _seekable_duration(path: str) -> float | None:
    """Duration of a file whose windows can be read, None for others: decode both ends"""
    from torchcodec.decoders import AudioDecoder

    metadata = get_audio_metadata({"audio": path})
    header, codec = metadata.duration_seconds_from_header, str(metadata.codec)
    start = metadata.begin_stream_seconds_from_header
    # AAC without container has no index
    if not header or start or not codec.startswith(INDEXED) or (codec == "aac" and start is None):
        return None
    if codec.startswith("pcm_"):  # computed from the size of the file
        return header
    try:
        first = AudioDecoder(path).get_samples_played_in_range(0.0, min(header, EDGE))
        last = AudioDecoder(path).get_samples_played_in_range(max(0.0, header - EDGE))
    except RuntimeError:  # no audio at one end
        return None
    if abs(first.pts_seconds) * first.sample_rate > 0.5:
        return None
    return min(header, last.pts_seconds + last.duration_seconds)


def _decoded_duration(source: str | Path | IOBase) -> float:
    waveform, sample_rate = Audio()({"audio": source})
    return waveform.shape[1] / sample_rate
