"""Memory does not explode with long recordings"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conversations import write_wav
from helpers import LARGE_STYLE, tiny_model
from pyannote.audio import pipelines
from pyannote.core import Annotation, Segment

from pyannote_prune import WavLMSegmentation
from pyannote_prune.benchmark.speed import peak_memory
from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.pipeline.pyannote_repairs import NoPLDA
from pyannote_prune.wavlm.config import ConvolutionConfig, WavLMConfig

# the waveform takes 4, and twice that while it is decoded
BYTES_PER_SAMPLE = 12

SAMPLE_RATE = 16_000


def write_noise(path: Path, minutes: int) -> Path:
    noise = 0.1 * np.random.default_rng(0).standard_normal(120 * SAMPLE_RATE, dtype=np.float32)
    write_wav(path, np.tile(noise, minutes // 2))
    return path


def smallest_model() -> WavLMSegmentation:
    """As fast as possible, since there are thousands of windows: one convolution, one speaker"""
    options = {"embed_dim": 16, "num_heads": 2, "position_kernel": 4, "position_groups": 2}
    config = WavLMConfig.dense(num_layers=1, neurons=4, channels=4, **LARGE_STYLE, **options)
    config = replace(config, convolutions=(ConvolutionConfig(4, kernel=400, stride=320),))
    model = tiny_model(config, duration=8.0)
    with torch.no_grad():
        # turns of random weights are too many to be read again from RTTM
        model.classifier.bias[1] += 100.0
    return model


@pytest.mark.slow
def test_segmentation_of_two_hours_takes_little_more_than_their_waveform(tmp_path):
    """In pyannote.audio's own pipeline, from two minutes to two hours, windows of 8 s"""
    pipeline = pipelines.SpeakerDiarization(
        segmentation=smallest_model(),
        clustering="OracleClustering",
        plda=NoPLDA(),
        segmentation_batch_size=32,
    )
    files = {
        minutes: {"audio": write_noise(tmp_path / f"{minutes}.wav", minutes)}
        for minutes in (2, 120)
    }

    found = {}

    def segment(minutes: int):
        found[minutes] = pipeline.get_segmentations(files[minutes])

    segment(2)
    short, long = (peak_memory(lambda minutes=minutes: segment(minutes)) for minutes in files)
    assert len(found[120]) > 59 * len(found[2])
    growth = (long - short) / (118 * 60 * SAMPLE_RATE)
    # less than the waveform itself would mean that nothing was measured
    assert 4 < growth < BYTES_PER_SAMPLE


@pytest.mark.slow
def test_corpus_with_two_hours_and_a_broken_file(tmp_path):
    """From files to RTTM, embeddings excepted"""
    pipeline = DiarizationPipeline(
        segmentation=smallest_model(),
        clustering="OracleClustering",
        segmentation_step=1.0,
        segmentation_batch_size=32,
    )
    pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}})
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    results = {}

    def diarize(minutes: int):
        todo = [
            {"uri": path.stem, "audio": path, "annotation": Annotation()}
            for path in (tmp_path / "broken.wav", tmp_path / f"{minutes}.wav")
        ]
        todo[1]["annotation"][Segment(0, 60 * minutes)] = "somebody"
        results[minutes] = [*apply_pipeline(pipeline, todo, tmp_path)]

    for minutes in (2, 120):
        write_noise(tmp_path / f"{minutes}.wav", minutes)
    diarize(2)
    (tmp_path / "2.rttm").unlink()
    short, long = (peak_memory(lambda minutes=minutes: diarize(minutes)) for minutes in (2, 120))
    for broken, readable in results.values():
        assert broken.error is not None
        assert readable.error is None
    assert (tmp_path / "120.rttm").is_file()
    growth = (long - short) / (118 * 60 * SAMPLE_RATE)
    assert 4 < growth < BYTES_PER_SAMPLE, growth
