"""Selection of audio files, and names of recordings"""

import struct

import numpy as np
import pytest
import torch
from pyannote.audio import Audio
from torchcodec.encoders import AudioEncoder

from pyannote_prune.data.audio_files import (
    EXTENSIONS,
    count_others,
    decodable,
    name_of,
    select_audio,
)


@pytest.fixture
def folder(tmp_path):
    for name in (
        *("a.wav", "b.MP4", "c.webm", "d.sph", "a.mp4", "a.flac"),
        *("notes.txt", "b.txt", "LICENSE", ".hidden.wav", ".DS_Store"),
        *("more/e.wav", "more/e.rttm", ".git/f.wav"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_audio_and_video_are_recordings_but_for_videos_beside_their_audio(folder):
    found = [path.name for path in select_audio(folder.iterdir())]
    assert found == ["a.flac", "a.wav", "b.MP4", "c.webm", "d.sph"]


def test_what_is_not_used_is_counted_by_suffix(folder):
    used = select_audio(folder.iterdir())
    assert count_others(folder, used) == "1 .mp4, 2 .txt, 1 without suffix, 1 sub-folder"
    assert count_others(folder / "more", [folder / "more" / "e.wav"]) == "1 .rttm"
    assert count_others(folder / "more", (folder / "more").iterdir()) == ""
    everything = count_others(folder, used, recursive=True)
    assert everything == "1 .mp4, 1 .rttm, 2 .txt, 1 .wav, 1 without suffix"


@pytest.mark.parametrize("suffix", [".aac", ".aiff", ".mka", ".mp4", ".webm"])
def test_formats_are_decoded(tmp_path, suffix):
    assert suffix in EXTENSIONS
    t = torch.arange(48000) / 48000
    AudioEncoder(torch.sin(3000 * t)[None], sample_rate=48000).to_file(tmp_path / f"a{suffix}")
    waveform, _ = Audio(sample_rate=16000, mono="downmix")(tmp_path / f"a{suffix}")
    assert waveform.shape[1] == pytest.approx(16000, abs=2000)
    assert waveform.std() > 0.5


def test_sphere_is_decoded(tmp_path):
    """As corpora of telephone conversations are distributed"""
    samples = (10000 * np.sin(np.arange(16000) / 5)).astype("<i2")
    header = (
        "NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
        "sample_count -i 16000\nsample_byte_format -s2 01\nsample_coding -s3 pcm\nend_head\n"
    )
    (tmp_path / "a.sph").write_bytes(header.encode().ljust(1024) + samples.tobytes())
    waveform, sample_rate = Audio()(tmp_path / "a.sph")
    assert sample_rate == 16000
    np.testing.assert_array_equal(waveform[0].numpy(), samples / 32768)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("talk", "talk"),
        ("Ünïcode 会議\t1", "Ünïcode_会議_1"),
        ("caf\udce9", "caf%E9"),
        ("bell\x07", "bell%07"),
        ("می‌خواهم", "می‌خواهم"),
    ],
)
def test_names_are_what_rttm_allows(stem, name):
    assert name_of(stem) == name
    name.encode()


def test_names_that_are_not_utf8_are_decoded(tmp_path):
    samples = np.arange(16000, dtype="<i2")
    size = 2 * len(samples)
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16
    )
    path = tmp_path / "caf\udce9.wav"
    try:
        path.write_bytes(header + struct.pack("<4sI", b"data", size) + samples.tobytes())
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    with pytest.raises(Exception, match="filename"):
        Audio()(path)
    with decodable(path) as audio:
        waveform, _ = Audio()(audio)
    np.testing.assert_array_equal(waveform[0].numpy(), samples / 32768)
    assert audio.closed
    with decodable(tmp_path / "café.wav") as audio:
        assert audio == tmp_path / "café.wav"
