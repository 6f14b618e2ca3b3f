"""What tables of pages are measured with, on small models"""

import json
from pathlib import Path

import pytest
import torch
from helpers import tiny_model

from pyannote_prune import save_checkpoint
from pyannote_prune.benchmark.accuracy import WholeDiarization
from pyannote_prune.benchmark.pages import measure_pipelines
from pyannote_prune.benchmark.pages.inputs import Inputs
from pyannote_prune.benchmark.pages.measure_pipelines import measure_accuracy, score_speeds
from pyannote_prune.benchmark.pages.measure_speed import measure_engines, measure_precisions
from pyannote_prune.benchmark.pages.precisions import PRECISION_COLUMNS, precisions_markdown
from pyannote_prune.benchmark.speed import experiment
from pyannote_prune.benchmark.speed.report import engines_markdown
from pyannote_prune.benchmark.speed.subjects import YARDSTICKS


def cells(markdown: str) -> list[list[str]]:
    """Rows of a table, titles first"""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def test_parts_are_timed_one_after_the_other(tmp_path, monkeypatch):
    """Encoders of `transformers` are no models"""
    monkeypatch.setattr("pyannote_prune.benchmark.speed.measure.SIDE", 64)
    monkeypatch.setattr(
        "pyannote_prune.benchmark.speed.subjects.supports_bfloat16", lambda device: False
    )
    monkeypatch.setitem(YARDSTICKS, "dense", "tiny")
    load = experiment.load
    monkeypatch.setattr(
        experiment, "load", lambda name: torch.nn.Identity() if name == "dense" else load(name)
    )
    monkeypatch.chdir(tmp_path)
    save_checkpoint(tiny_model(), "tiny.ckpt")
    options = {
        "models": ["dense", "tiny.ckpt"],
        "cases": [(1, 0.5), (2, 0.5)],
        "engines": ["torch"],
        "num_rounds": 1,
    }
    results = measure_engines(Inputs(), tmp_path, lambda step: None, **options)
    found = [(row["name"], row["part"], row["batch_size"]) for row in results["rows"]]
    assert found == [
        *((name, "encoder", size) for size in (1, 2) for name in ("dense", "tiny.ckpt")),
        *(("tiny.ckpt", "model", size) for size in (1, 2)),
    ]
    titles, *rows = cells(engines_markdown(json.loads(json.dumps(results))))
    assert titles == ["Network", "1 x 0.5 s, float32 (ms)", "2 x 0.5 s, float32 (ms)"]
    assert [row[0] for row in rows] == ["dense, encoder", "tiny.ckpt, encoder", "tiny.ckpt, model"]


def row(name: str, part: str, dtype: str, size: int, seconds: float) -> dict:
    return {
        "name": name,
        "part": part,
        "dtype": dtype,
        "batch_size": size,
        "duration": 8.0,
        "seconds": seconds,
    }


def test_times_are_compared_with_the_first_row_of_a_part():
    results = {
        "machine": "it",
        "peak": {"float32": 1e11},
        "deviations": {},
        "rows": [
            row("dense", "encoder", "float32", 1, 1.0),
            row("pruned", "encoder", "float32", 1, 0.5),
            row("pruned", "encoder", "bfloat16", 1, 0.25),
            row("dense", "encoder", "float32", 4, 8.0),
            row("pruned", "encoder", "float32", 4, 2.0),
            row("pruned", "model", "float32", 1, 0.6),
            row("pruned (it)", "model", "float32", 1, 0.2),
        ],
    }
    text = engines_markdown(results)
    assert "it. Peak of matrix products: 200 GFLOP/s in float32." in text
    assert cells(text) == [
        ["Network", *(f"{c} (ms)" for c in ("1 x 8 s, float32", "1 x 8 s, bfloat16"))]
        + ["4 x 8 s, float32 (ms)"],
        ["dense, encoder", "1000 (1.0 x)", "", "8000 (1.0 x)"],
        ["pruned, encoder", "500 (2.0 x)", "250 (4.0 x)", "2000 (4.0 x)"],
        ["pruned, model", "600 (1.0 x)", "", ""],
        ["pruned (it), model", "200 (3.0 x)", "", ""],
    ]


def test_precisions_of_a_checkpoint(checkpoint, onnx_file, tmp_path, monkeypatch):
    def save(model, path, dtype):
        # the same file, without the time that it takes
        path.write_bytes(onnx_file.read_bytes())

    monkeypatch.setattr("pyannote_prune.benchmark.pages.measure_speed.save_onnx", save)
    dtypes = ["float32", "float16"]
    inputs = Inputs(checkpoint=checkpoint)
    results = measure_precisions(inputs, tmp_path, lambda step: None, dtypes=dtypes)
    for row in results["rows"]:
        assert row["bytes"] == onnx_file.stat().st_size
        assert 0 < row["scores"] < 1e-3
        assert row["num_turns"] > 0
    assert str(checkpoint.parent) not in json.dumps(results)
    titles, *rows = cells(precisions_markdown(results))
    assert titles == [*PRECISION_COLUMNS]
    assert [one[0] for one in rows] == dtypes
    # models of a test have less than a megabyte
    assert all(0 < float(one[1]) < 1 for one in rows)


def test_scores_name_no_folder_of_this_machine(monkeypatch, tmp_path):
    """Everything else is what `benchmark diarization --protocol` gives"""
    asked = []

    def score(recordings, parts, variants, num_rounds, report):
        asked.append((recordings, parts.threshold, [*variants], num_rounds))
        return {"parts": {**parts.describe(), "clustering": "it"}, "rows": []}

    monkeypatch.setattr(measure_pipelines, "score_diarization", score)
    monkeypatch.setattr(measure_pipelines, "recordings_of_protocol", lambda *source: source)
    inputs = Inputs(
        segmentation=str(tmp_path / "model.bin"),
        embedding=tmp_path / "embedding.onnx",
        threshold=0.8,
        database=tmp_path / "database.yml",
        protocol="It.SpeakerDiarization.All",
        subset="development",
    )
    options = {"variants": ["exact"], "num_rounds": 2}
    results = score_speeds(inputs, tmp_path, lambda step: None, **options)
    source = (tmp_path / "database.yml", "It.SpeakerDiarization.All", "development")
    assert asked == [(source, 0.8, ["exact"], 2)]
    assert results["parts"]["segmentation"] == "model.bin"
    assert results["parts"]["embedding"] == "embedding.onnx"
    assert results["parts"]["threshold"] == 0.8
    assert results["data"] == "It.SpeakerDiarization.All, development"
    assert str(tmp_path) not in json.dumps(results)


@pytest.mark.parametrize("embedding", [None, Path("embedding.onnx")])
@pytest.mark.parametrize("other", [None, "Other.SpeakerDiarization.All"])
def test_accuracy_is_that_of_the_experiment(other, embedding, monkeypatch, tmp_path):
    asked, figures = [], []

    class Fake:
        def __init__(self, *arguments, **options):
            asked.append((arguments, options))

        def __call__(self, num_jobs, report, groups):
            one = {"speech": 9.00004, "errors": {"missed": 1.00004}, "found": 2}
            arms = [{"group": groups[0], "model": "a.ckpt", "test": {"recordings": {"a": one}}}]
            return {"seconds": 3, "arms": arms}

    monkeypatch.setattr(measure_pipelines, "Experiment", Fake)
    monkeypatch.setattr(measure_pipelines, "plot", lambda results, path: figures.append(path))
    database = other and tmp_path / "database.yml"
    inputs = Inputs(
        voices=tmp_path,
        test_speakers=("Ann",),
        other_database=database,
        other_protocol=other,
        embedding=embedding,
        threshold=0.6,
    )
    folder = tmp_path / "accuracy"
    found = measure_accuracy(
        inputs, folder, lambda step: None, arms=["dense", "longer"], diarized=["longer"]
    )
    recordings = {"a": {"speech": 9.0, "errors": {"missed": 1.0}}}
    assert found == {
        "seconds": 3,
        "arms": [{"group": "dense", "test": {"recordings": recordings}}],
    }
    out_of_domain = other and (database, other)
    whole = embedding and WholeDiarization(embedding, threshold=0.6, groups=("longer",))
    options = {
        "out_of_domain": out_of_domain,
        "test_speakers": ("Ann",),
        "diarization": whole,
    }
    assert asked == [((tmp_path, folder), options)]
    assert figures == [folder / "der-against-sparsity.png"]
