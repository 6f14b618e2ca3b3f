"""Whole diarizations use the options of all arms, and no reference"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conversations import generate_conversations
from pyannote.metrics.diarization import DiarizationErrorRate

from pyannote_prune.benchmark.accuracy import WholeDiarization
from pyannote_prune.pipeline import SpeakerDiarization
from pyannote_prune.pipeline.recordings import recordings_of_protocol
from pyannote_prune.segmentation.checkpoint import load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def recordings(tmp_path) -> list:
    database = generate_conversations(tmp_path / "data", "Whole")
    return recordings_of_protocol(database, "Whole.SpeakerDiarization.Mini", "development")[:1]


def test_scores_are_those_of_the_pipeline(checkpoint, parts, recordings):
    options = WholeDiarization(parts / "embedding", 0.2, min_cluster_size=1, step=1.0)
    scores = options(checkpoint, recordings)
    pipeline = SpeakerDiarization(
        segmentation=load_checkpoint(checkpoint),
        embedding=str(parts / "embedding"),
        clustering="AgglomerativeClustering",
        segmentation_step=1.0,
        embedding_exclude_overlap=True,
    )
    clustering = {"method": "centroid", "min_cluster_size": 1, "threshold": 0.2}
    pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}, "clustering": clustering})
    metric, found = DiarizationErrorRate(), {}
    for one in recordings:
        output = pipeline({"uri": one["uri"], "audio": one["audio"]}).speaker_diarization
        metric(one["annotation"], output, uem=one["annotated"])
        found[one["uri"]] = len(output.crop(one["annotated"]).labels())
    assert scores["der"] == pytest.approx(abs(metric))
    assert {uri: one["found"] for uri, one in scores["recordings"].items()} == found
    assert any(found.values())
    assert scores["speakers"]["true"] == sum(len(one["annotation"].labels()) for one in recordings)


def test_options_know_the_embedding_by_its_content(parts, tmp_path):
    options = WholeDiarization(parts / "embedding").options
    copy = shutil.copytree(parts / "embedding", tmp_path / "copy")
    assert WholeDiarization(copy).options == options
    assert replace(WholeDiarization(copy), threshold=0.6).options != options
    with (copy / "pytorch_model.bin").open("ab") as file:
        file.write(b"0")
    assert WholeDiarization(copy).options != options


def test_a_missing_embedding_is_refused_first():
    with pytest.raises(FileNotFoundError, match="`embedding` must be a folder, .* which does not"):
        WholeDiarization(Path("nothing.onnx")).check()
