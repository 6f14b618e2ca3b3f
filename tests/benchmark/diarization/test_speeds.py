"""Speeds of our pipeline on one conversation"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pyannote_prune.benchmark.diarization import speeds, worker
from pyannote_prune.benchmark.diarization.parts import Parts
from pyannote_prune.benchmark.diarization.report import SPEEDS_COLUMNS, speeds_markdown
from pyannote_prune.benchmark.diarization.speeds import measure_speeds
from pyannote_prune.benchmark.diarization.variants import Variant, choose_variants, make_pipeline
from pyannote_prune.onnx.model import ONNXSegmentation
from pyannote_prune.pipeline.pyannote_repairs import get_segmentation_model
from pyannote_prune.segmentation.model import WavLMSegmentation

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


def test_each_speed_has_a_row(checkpoint, onnx_file, parts, monkeypatch):
    """Engines compute the ONNX file, others the checkpoint, with the same turns"""
    made = []

    def make(*arguments):
        made.append(make_pipeline(*arguments))
        return made[-1]

    monkeypatch.setattr(worker, "make_pipeline", make)
    # the same file, without the time that it takes
    monkeypatch.setattr(
        speeds, "save_onnx", lambda model, path: path.write_bytes(onnx_file.read_bytes())
    )
    variants = choose_variants(["pyannote-prune", "exact"]) | {
        "smooth": Variant(options={"median_filter": 25})
    }
    results = measure_speeds(
        str(checkpoint),
        6.0,
        num_rounds=2,
        parts=Parts(embedding=parts / "embedding"),
        variants=variants,
        start=lambda: ThreadPoolExecutor(1),
    )
    kinds = [type(get_segmentation_model(pipeline)) for pipeline in made]
    assert kinds == [WavLMSegmentation, ONNXSegmentation, WavLMSegmentation]
    ours, exact, smooth = results["rows"]
    assert [ours["name"], exact["name"], smooth["name"]] == [*variants]
    assert ours["difference"] == exact["difference"] == 0
    assert smooth["difference"] > 0
    for row in results["rows"]:
        assert row["real_time_factor"] == pytest.approx(row["seconds"] / 6)
        assert {"segmentation", "embeddings"} <= row["steps"].keys()
    text = speeds_markdown(results)
    assert f"| {' | '.join(SPEEDS_COLUMNS)} |" in text
    assert text.count("1.0 x | 0.0 |") >= 1
    assert "median of 2 rounds" in text


def test_models_of_others_have_no_onnx_file(monkeypatch):
    monkeypatch.setattr(
        "pyannote_prune.benchmark.diarization.speeds.open_segmentation", lambda name: object()
    )
    with pytest.raises(ValueError, match="must be a preset or a checkpoint of ours, found 'it'"):
        measure_speeds("it")
