"""`pyannote-prune benchmark diarization` without a protocol"""

import json

import pytest
import torch
from helpers import tiny_model
from typer.testing import CliRunner

from pyannote_prune.benchmark.diarization.speed import measure_diarization
from pyannote_prune.cli import app


def test_command_writes_steps_of_a_diarization(checkpoint, parts, tmp_path):
    command = ["benchmark", "diarization", str(checkpoint), "--duration", "10", "--rounds", "1"]
    options = ["--embedding", str(parts / "embedding"), "--output", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "diarization.json").read_text(encoding="utf-8"))
    assert found["same_diarization"]
    assert found["largest_difference_of_embeddings"] < 1e-3
    assert set(found["steps"]["ours"]) >= {"segmentation", "embeddings"}
    assert "tiny.ckpt, 10 s of conversation" in (tmp_path / "diarization.md").read_text(
        encoding="utf-8"
    )


def test_random_weights_find_speech(monkeypatch):
    """Those of a preset, and of the speaker embedding"""
    monkeypatch.setattr(
        "pyannote_prune.benchmark.diarization.speed.load", lambda name: tiny_model(duration=2.0)
    )
    found = measure_diarization("tiny", 2.5, num_rounds=1)
    assert found["same_diarization"]
    assert set(found["steps"]["ours"]) >= {"segmentation", "embeddings"}


def test_encoder_alone_does_not_diarize(monkeypatch):
    monkeypatch.setattr(
        "pyannote_prune.benchmark.diarization.speed.load", lambda name: torch.nn.Identity()
    )
    with pytest.raises(ValueError, match="must be a preset or a checkpoint, found 'transformers-"):
        measure_diarization("transformers-base", 1.0)
