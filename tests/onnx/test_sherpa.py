"""sherpa-onnx runs exported models"""

import numpy as np
import onnx_files
import pytest
from helpers import SHARED
from pyannote.audio import Audio

sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed")
EMBEDDING = SHARED / "models" / "wespeaker-campplus.onnx"
EXCERPT = SHARED / "data" / "ami-excerpts" / "dev00.flac"

pytestmark = pytest.mark.skipif(
    not (EMBEDDING.is_file() and EXCERPT.is_file()),
    reason="speaker embedding and AMI excerpts are in ../shared, which is absent",
)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_sherpa_onnx_diarizes_an_excerpt(onnx_file, tmp_path, dtype):
    path = onnx_files.converted(onnx_file, tmp_path, dtype)
    pyannote = sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(str(path))
    config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(pyannote=pyannote),
        embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(EMBEDDING)),
        clustering=sherpa_onnx.FastClusteringConfig(num_clusters=2),
        min_duration_on=0.0,
        min_duration_off=0.0,
    )
    assert config.validate()
    diarization = sherpa_onnx.OfflineSpeakerDiarization(config)
    assert diarization.sample_rate == 16000
    waveform, _ = Audio(sample_rate=16000, mono="downmix")(EXCERPT)
    turns = diarization.process(np.ascontiguousarray(waveform[0])).sort_by_start_time()
    assert {turn.speaker for turn in turns} == {0, 1}
    assert all(0 <= turn.start < turn.end < 30.1 for turn in turns)
