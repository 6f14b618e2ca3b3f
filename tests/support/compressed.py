"""Recordings in usual compressed formats, made with the ffmpeg command"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conversations import write_wav

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

# options of FFmpeg by end of the name
FORMATS = {
    ".mp3": ["-b:a", "64k"],
    ".m4a": ["-c:a", "aac"],
    ".aac": ["-c:a", "aac"],
    ".ogg": ["-c:a", "libvorbis"],
    ".opus": ["-c:a", "libopus"],
    ".flac": [],
    ".aiff": [],
    ".webm": ["-c:a", "libopus"],
    ".mkv": ["-c:a", "aac"],
    ".wma": [],
}


def conversation(duration: float = 6.0) -> np.ndarray:
    """Samples at 16 kHz without any repetition: two pitches that change all the time"""
    t = np.arange(round(duration * 16000)) / 16000
    pitch = np.where(t % 3 < 1.5, 110, 190) * (1 + 0.2 * np.sin(2 * np.pi * t / duration))
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    return 0.2 * (np.sin(phase) + np.sin(2 * phase) / 2) * np.sin(np.pi * t / duration)


def compress(wav: Path, kind: str) -> Path:
    """Same recording in another format, next to it

    "-pipe.flac" comes from a pipe, hence without duration in its header. In "-late.mp4", a video,
    sound starts after 2 s.
    """
    path = wav.with_name(f"{wav.stem}{kind}")
    ffmpeg = ["ffmpeg", "-v", "error", "-y"]
    if kind == "-pipe.flac":
        done = subprocess.run([*ffmpeg, "-i", wav, "-f", "flac", "-"], capture_output=True)
        path.write_bytes(done.stdout)
    elif kind == "-late.mp4":
        video = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=9", "-itsoffset", "2"]
        codecs = ["-c:v", "mpeg4", "-c:a", "aac"]
        done = subprocess.run([*ffmpeg, *video, "-i", wav, *codecs, path], capture_output=True)
    else:
        done = subprocess.run([*ffmpeg, "-i", wav, *FORMATS[kind], path], capture_output=True)
    assert done.returncode == 0, done.stderr
    return path


def write_conversation(folder: Path, duration: float = 6.0) -> Path:
    """WAV file of that conversation"""
    folder.mkdir(parents=True, exist_ok=True)
    write_wav(folder / "talk.wav", conversation(duration))
    return folder / "talk.wav"
