"""Memory does not explode with long recordings"""

import numpy as np
import pytest
from conftest import write_wav
from helpers import tiny_model
from pyannote.audio import pipelines

from pyannote_prune.pipeline import NoPLDA
from pyannote_prune.speed import peak_memory

# the waveform takes 4, and twice that while it is decoded
BYTES_PER_SAMPLE = 12

SAMPLE_RATE = 16_000


@pytest.mark.slow
def test_segmentation_of_two_hours_takes_little_more_than_their_waveform(tmp_path):
    """In pyannote.audio's own pipeline, from two minutes to two hours, windows of 8 s"""
    pipeline = pipelines.SpeakerDiarization(
        segmentation=tiny_model(duration=8.0),
        clustering="OracleClustering",
        plda=NoPLDA(),
        segmentation_batch_size=32,
    )
    noise = 0.1 * np.random.default_rng(0).standard_normal(120 * SAMPLE_RATE, dtype=np.float32)
    files = {}
    for minutes in (2, 120):
        files[minutes] = {"audio": tmp_path / f"{minutes}.wav"}
        write_wav(files[minutes]["audio"], np.tile(noise, minutes // 2))

    found = {}

    def segment(minutes: int):
        found[minutes] = pipeline.get_segmentations(files[minutes])

    segment(2)
    short, long = (peak_memory(lambda minutes=minutes: segment(minutes)) for minutes in files)
    assert len(found[120]) > 59 * len(found[2])
    growth = (long - short) / (118 * 60 * SAMPLE_RATE)
    # less than the waveform itself would mean that nothing was measured
    assert 4 < growth < BYTES_PER_SAMPLE
