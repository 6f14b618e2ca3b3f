"""Convert the first channel of a recording to WAV"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

from ...files.atomic import atomic_write
from ...files.audio import SAMPLE_RATE
from ..audio_files import decodable
from ..decoding import is_exact, reason

# seconds that are decoded at a time: 31 MB of 8 channels, instead of 1.2 GB for a whole meeting
PIECE = 60.0


def write_first_channel(source: Path, output: Path, piece: float = PIECE) -> None:
    """Write the first channel as 16-bit WAV

    Samples of a 16-bit file do not change. The output is written atomically.

    Parameters
    ----------
    source : Path
        WAV, FLAC, or another format with an exact header, at 16 kHz.
    output : Path
        WAV file.
    piece : float, optional
        Duration that is decoded at a time, in seconds.

    Raises
    ------
    ValueError
        If `source` cannot be decoded to its end, or has another sample rate.
    """
    # imported here, since it needs FFmpeg, and other commands do not
    from torchcodec.decoders import AudioDecoder

    try:
        with decodable(source) as audio:
            decoder = AudioDecoder(audio)
            metadata = decoder.metadata
            duration = metadata.duration_seconds_from_header
            if duration is None or not is_exact(metadata):
                raise ValueError("its header does not give the exact place and number of samples")
            if metadata.sample_rate == SAMPLE_RATE:
                _write(decoder, duration, output, piece)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"A recording must be an audio file that is complete, found {str(source)!r}, which "
            f"cannot be decoded ({reason(error)}): download it again."
        ) from error
    if metadata.sample_rate != SAMPLE_RATE:
        raise ValueError(
            f"A recording must have a sample rate of {SAMPLE_RATE} Hz, as official files do, found "
            f"{metadata.sample_rate} Hz in {str(source)!r}: download it again."
        )


def _write(decoder: Any, duration: float, output: Path, piece: float) -> None:
    with atomic_write(output) as draft:
        with wave.open(str(draft), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            start = 0.0
            while start < duration:
                samples = decoder.get_samples_played_in_range(start, start + piece).data[0]
                # FFmpeg's floats are integers over 32768: exact both ways
                samples = (samples * 32768).round().clamp(-32768, 32767).short()
                file.writeframes(samples.numpy().astype("<i2").tobytes())
                start += piece
            num_samples = file.getnframes()
        if num_samples != round(duration * SAMPLE_RATE):
            raise RuntimeError(f"{num_samples / SAMPLE_RATE:.3f} s of {duration:.3f} s")


def get_wav_duration(path: Path) -> float:
    """Duration of a WAV file, in seconds"""
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()
