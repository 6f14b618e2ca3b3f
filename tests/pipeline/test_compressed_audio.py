"""Compressed files have the results of their decoded waveform"""

import numpy as np
import pytest
from compressed import compress, conversation, needs_ffmpeg, write_conversation
from conversations import write_wav
from parameters import VBX
from pyannote.audio import Audio, pipelines

from pyannote_prune import WavLMSegmentation
from pyannote_prune.pipeline.diarization import DiarizationPipeline

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@needs_ffmpeg
@pytest.mark.parametrize("kind", [".mp3", ".webm", "-pipe.flac", "-late.mp4"])
def test_compressed_files_give_what_their_decoded_waveform_gives(arguments, tmp_path, kind):
    path = compress(write_conversation(tmp_path), kind)
    waveform, sample_rate = Audio()(path)
    stock = pipelines.SpeakerDiarization(**arguments).instantiate(VBX)
    with pytest.raises((TypeError, ValueError)):
        stock(path)
    ours = DiarizationPipeline(**arguments).instantiate(VBX)
    expected = ours({"waveform": waveform, "sample_rate": sample_rate})
    for source in (path, {"audio": path, "uri": "it"}):
        found = ours(source)
        assert found.speaker_diarization == expected.speaker_diarization
        np.testing.assert_array_equal(found.speaker_embeddings, expected.speaker_embeddings)
    assert expected.speaker_diarization.get_timeline().duration() > 0


@needs_ffmpeg
def test_compressed_files_of_odd_sample_rates_have_windows_of_one_length(arguments, tmp_path):
    """Every half second, hence 5512.5 samples at 11,025 Hz"""
    write_wav(tmp_path / "talk.wav", conversation(), sample_rate=11025)
    path = compress(tmp_path / "talk.wav", ".m4a")
    model = WavLMSegmentation.from_pretrained(arguments["segmentation"])
    model.specifications.duration = 1.0
    arguments |= {"segmentation": model, "embedding_batch_size": 32}
    pipeline = DiarizationPipeline(**arguments).instantiate(VBX)
    waveform, sample_rate = Audio()(path)
    assert sample_rate == 11025
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        pipeline({"waveform": waveform, "sample_rate": sample_rate})
    assert pipeline(path).speaker_diarization.get_timeline().duration() > 0


@needs_ffmpeg
def test_first_channel_of_compressed_files_is_the_first(arguments, tmp_path):
    samples = np.stack([conversation(), 0.3 * conversation()[::-1]], axis=1)
    write_wav(tmp_path / "two.wav", samples)
    path = compress(tmp_path / "two.wav", ".mp3")
    waveform, sample_rate = Audio()(path)
    both, first = (
        DiarizationPipeline(**arguments, first_channel=value).instantiate(VBX)
        for value in (False, True)
    )
    expected = both({"waveform": waveform[:1], "sample_rate": sample_rate})
    assert first(path).speaker_diarization == expected.speaker_diarization
    assert both(path).speaker_diarization != expected.speaker_diarization
