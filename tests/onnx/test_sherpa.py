"""sherpa-onnx runs exported models"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_files
import pytest
import torch
from embeddings import random_wespeaker
from helpers import SHARED, relative_error
from pyannote.audio import Audio
from pyannote.audio.sample import SAMPLE_FILE
from scipy.io import wavfile
from torchaudio.compliance.kaldi import fbank

sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
# of the package `sherpa-onnx-bin`
PROGRAM = Path(sys.executable).with_name("sherpa-onnx-offline-speaker-diarization")
EMBEDDING = SHARED / "models" / "wespeaker-campplus.onnx"
EXCERPT = SHARED / "data" / "ami-excerpts" / "dev00.flac"


@pytest.mark.skipif(
    not (EMBEDDING.is_file() and EXCERPT.is_file()),
    reason="speaker embedding and AMI excerpts are in ../shared, which is absent",
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_sherpa_onnx_diarizes_an_excerpt(onnx_file, tmp_path, dtype):
    path = onnx_files.converted(onnx_file, tmp_path, dtype)
    waveform, _ = Audio(sample_rate=16000, mono="downmix")(EXCERPT)
    turns = diarize(path, EMBEDDING, waveform[0])
    assert all(0 <= turn.start < turn.end < 30.1 for turn in turns)


def diarize(segmentation, embedding, samples: torch.Tensor) -> list:
    """Turns of two speakers"""
    pyannote = sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(str(segmentation))
    config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(pyannote=pyannote),
        embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(embedding)),
        clustering=sherpa_onnx.FastClusteringConfig(num_clusters=2),
        min_duration_on=0.0,
        min_duration_off=0.0,
    )
    assert config.validate()
    diarization = sherpa_onnx.OfflineSpeakerDiarization(config)
    assert diarization.sample_rate == 16000
    turns = diarization.process(np.ascontiguousarray(samples)).sort_by_start_time()
    assert {turn.speaker for turn in turns} == {0, 1}
    return turns


def test_one_folder_holds_a_whole_diarization(onnx_folder):
    segmentation, embedding = (
        onnx_folder / name / "model.onnx" for name in ("segmentation", "embedding")
    )
    turns = diarize(segmentation, embedding, SAMPLE_FILE["waveform"][0, 100000:148000])
    assert all(0 <= turn.start < turn.end < 3.1 for turn in turns)


@pytest.mark.skipif(not PROGRAM.is_file(), reason="sherpa-onnx-bin is not installed")
def test_command_line_of_sherpa_onnx_prints_the_same_turns(onnx_folder, tmp_path):
    segmentation, embedding = (
        onnx_folder / name / "model.onnx" for name in ("segmentation", "embedding")
    )
    # what a WAV file of 16 bits holds
    samples = (32768 * SAMPLE_FILE["waveform"][0, 100000:148000]).round().short()
    expected = diarize(segmentation, embedding, samples / 32768)
    wavfile.write(tmp_path / "conversation.wav", 16000, samples.numpy())
    command = [PROGRAM, f"--segmentation.pyannote-model={segmentation}"]
    command += [f"--embedding.model={embedding}", "--clustering.num-clusters=2"]
    command += ["--min-duration-on=0", "--min-duration-off=0", tmp_path / "conversation.wav"]
    printed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    found = re.findall(r"^([0-9.]+) -- ([0-9.]+) speaker_0([01])$", printed, re.MULTILINE)
    assert [(float(start), float(end), int(speaker)) for start, end, speaker in found] == [
        (pytest.approx(turn.start, abs=1e-3), pytest.approx(turn.end, abs=1e-3), turn.speaker)
        for turn in expected
    ]


def test_embedding_of_sherpa_onnx_is_that_of_its_features(onnx_folder):
    """Features of Kaldi with its default window, up to 7.6 kHz, with frames over both ends"""
    samples = SAMPLE_FILE["waveform"][0, 100000:148000]
    config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(
        model=str(onnx_folder / "embedding" / "model.onnx")
    )
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
    stream = extractor.create_stream()
    stream.accept_waveform(16000, samples.numpy())
    stream.input_finished()
    found = torch.tensor(extractor.compute(stream))

    features = fbank(
        samples[None] * 32768, num_mel_bins=80, high_freq=-400.0, snip_edges=False, dither=0.0
    )
    model = random_wespeaker()
    with torch.inference_mode():
        expected = model.resnet((features - features.mean(0))[None].clone())[1][0]
    assert relative_error(found, expected) < 1e-5
