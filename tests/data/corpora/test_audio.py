"""First channel, bit for bit"""

import wave

import numpy as np
import pytest
from compressed import compress, needs_ffmpeg
from official import sound, write_audio

from pyannote_prune.data.corpora.audio import get_wav_duration, write_first_channel


def read(path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


@pytest.mark.parametrize("piece", [60.0, 0.5, 0.7])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_first_channel_is_kept_bit_for_bit(tmp_path, suffix, piece):
    """Also when it is read in pieces, the last one shorter"""
    samples = sound("any", duration=2.25)
    source = tmp_path / f"source{suffix}"
    write_audio(source, samples)
    write_first_channel(source, tmp_path / "output.wav", piece)
    assert not np.array_equal(samples[:, 0], samples[:, 1])
    np.testing.assert_array_equal(read(tmp_path / "output.wav"), samples[:, 0])
    assert get_wav_duration(tmp_path / "output.wav") == 2.25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output.wav", source.name]


def test_other_sample_rates_are_refused(tmp_path):
    write_audio(tmp_path / "source.wav", sound("any"), sample_rate=8000)
    with pytest.raises(ValueError, match=r"sample rate of 16000 Hz.* found 8000 Hz in '.*source.w"):
        write_first_channel(tmp_path / "source.wav", tmp_path / "output.wav")
    assert not (tmp_path / "output.wav").exists()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("share", [0, 0.001, 0.6])
def test_incomplete_audio_is_refused(tmp_path, suffix, share):
    source = tmp_path / f"source{suffix}"
    write_audio(source, sound("any"))
    content = source.read_bytes()
    source.write_bytes(content[: round(share * len(content))])
    with pytest.raises(
        ValueError, match=rf"must be an audio file that is complete, found '.*{suffix}'"
    ):
        write_first_channel(source, tmp_path / "output.wav")
    assert not (tmp_path / "output.wav").exists()


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["-pipe.flac", ".mp3"])
def test_headers_that_do_not_say_what_is_where_are_refused(tmp_path, kind):
    write_audio(tmp_path / "source.wav", sound("any"))
    source = compress(tmp_path / "source.wav", kind)
    message = r"found '.*source.*', which cannot be decoded \(its header does not give the exact"
    with pytest.raises(ValueError, match=message):
        write_first_channel(source, tmp_path / "output.wav")
    assert not (tmp_path / "output.wav").exists()
