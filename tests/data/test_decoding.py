"""What is decoded once, and what is read window by window"""

import numpy as np
import pytest
import torch
from compressed import FORMATS, compress, needs_ffmpeg, write_conversation
from conversations import write_wav
from pyannote.audio import Audio
from pyannote.core import Segment
from pyannote.database import ProtocolFile

from pyannote_prune.data.decoding import decoded, extent, get_duration, reason

EXACT = (".wav", ".flac", ".aiff")
SEEKABLE = (*EXACT, ".m4a", ".ogg", ".opus")
KINDS = [*FORMATS, "-pipe.flac", "-late.mp4"]


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    return write_conversation(tmp_path_factory.mktemp("decoding"))


@needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
def test_compressed_files_are_decoded_from_their_first_sample(talk, kind):
    path = compress(talk, kind)
    file = {"uri": "talk", "audio": path}
    found = decoded(file)
    assert "waveform" not in file
    if kind in EXACT:
        assert found is file
        return
    waveform, sample_rate = Audio()(path)
    assert torch.equal(found["waveform"], waveform)
    assert (found["uri"], found["audio"], found["sample_rate"]) == ("talk", path, sample_rate)
    assert get_duration(found) == waveform.shape[1] / sample_rate


def test_wav_is_not_decoded(talk, monkeypatch):
    def fail(*args):
        raise AssertionError("decoded")

    monkeypatch.setattr(Audio, "__call__", fail)
    file = {"audio": talk}
    assert decoded(file) is file
    assert get_duration(file) == 6.0


@needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
def test_duration_is_that_of_the_samples(talk, kind):
    """As long as windows can be read up to there"""
    path = compress(talk, kind)
    found, expected = extent(str(path)), Audio()(path)[0].shape[1] / Audio()(path)[1]
    assert found.seekable == (kind in SEEKABLE)
    if found.seekable:
        # AAC has more samples than its header says
        assert expected - 0.07 < found.duration <= expected + 1e-6
        last = Segment(found.duration - 2.0, found.duration)
        window, sample_rate = Audio().crop(path, last)
        start = round(last.start * sample_rate)
        whole = Audio()(path)[0][:, start : start + window.shape[1]]
        assert torch.allclose(window[:, : whole.shape[1]], whole, atol=1e-6)
        assert whole.abs().max() > 0.01
    else:
        assert found.duration == expected


@needs_ffmpeg
def test_windows_of_an_mp3_are_elsewhere(talk):
    """Which is why it is decoded"""
    path = compress(talk, ".mp3")
    window, _ = Audio().crop(path, Segment(2, 4))
    whole, _ = Audio()(path)
    assert not torch.allclose(window, whole[:, 32000:64000], atol=0.05)


@needs_ffmpeg
def test_channels_are_kept(tmp_path):
    t = np.arange(32000) / 16000
    samples = np.stack([0.2 * np.sin(2 * np.pi * pitch * t) for pitch in (200, 300)], axis=1)
    write_wav(tmp_path / "two.wav", samples)
    path = compress(tmp_path / "two.wav", ".mp3")
    found = decoded({"audio": path, "channel": 1})
    assert found["waveform"].shape[0] == 2
    waveform, _ = Audio()(found)
    assert torch.equal(waveform, found["waveform"][1:])


@needs_ffmpeg
def test_files_of_protocols_stay_as_they_are(talk):
    """A whole corpus could otherwise end up in memory"""
    path, asked = compress(talk, ".mp3"), []
    file = ProtocolFile(
        {"uri": "talk"}, lazy={"audio": lambda _: path, "annotation": lambda _: asked.append(1)}
    )
    found = decoded(file)
    assert found["waveform"].shape[0] == 1
    assert "waveform" not in file
    assert not asked


@needs_ffmpeg
def test_open_files_are_decoded_too(talk):
    with compress(talk, ".mp3").open("rb") as file:
        found = decoded({"uri": "stream", "audio": file})
        assert get_duration({"audio": file}) == get_duration(found) == 6.0


def test_files_that_cannot_be_decoded_are_named(tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF, and nothing")
    message = r"`audio` could not be read: '.*broken.wav' \(.*Invalid data found.*\). Check the"
    for read in (lambda: decoded({"audio": path}), lambda: extent(str(path))):
        with pytest.raises(ValueError, match=message) as error:
            read()
        assert ".cpp" not in str(error.value)


def test_reasons_have_no_place_in_the_code_of_others():
    error = RuntimeError("decode, /some where/decoder.cpp:41, Could not push, packet\nat line")
    assert reason(error) == "Could not push, packet"
    assert reason(RuntimeError()) == "RuntimeError"
