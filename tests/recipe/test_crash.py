"""Killed at any moment, a recipe ends as if undisturbed"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conversations import generate_conversations
from recipes import STAGES, tiny_recipe

from pyannote_prune.segmentation.checkpoint import load_checkpoint

# more kills, at random moments
NUM_KILLS = int(os.environ.get("RANDOM_KILLS", 0))


@pytest.mark.slow
def test_killed_before_each_file_it_ends_as_if_undisturbed(tmp_path):
    recipe = tmp_path / "recipe.yml"
    data = generate_conversations(tmp_path / "data")
    recipe.write_text(yaml.safe_dump(tiny_recipe(data)))
    script = Path(__file__).parents[1] / "support" / "crash_script.py"
    command = [sys.executable, script, recipe, tmp_path, str(NUM_KILLS)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=900)
    logs = [path.read_text()[-2000:] for path in tmp_path.glob("*.log")]
    assert process.returncode == 0, (process.stderr, logs)

    kills = json.loads((tmp_path / "kills.json").read_text())
    points = [kill["before"] for kill in kills if kill["before"]]
    for stage in STAGES:
        for name in ("checkpoints/last.ckpt", "scores.json", "metrics.csv", "model.ckpt"):
            assert f"{stage}/{name}" in points, name
    assert {"recipe.yml", "pipeline", "summary.json"} <= {*points}
    for kill in kills:
        assert kill["killed"], kill
    # each of them was about to take its place
    assert all(kill["drafts"] for kill in kills if kill["before"])

    finished, *killed = sorted(
        tmp_path.glob("*/summary.json"), key=lambda path: path.parts[-2] != "undisturbed"
    )
    assert killed
    for path in killed:
        assert path.read_text() == finished.read_text()
        for stage in STAGES:
            found, expected = (
                load_checkpoint(summary.parent / stage / "model.ckpt").state_dict()
                for summary in (path, finished)
            )
            assert all(torch.equal(found[key], value) for key, value in expected.items()), stage
            log, undisturbed = (s.parent / stage / "metrics.csv" for s in (path, finished))
            assert log.read_text() == undisturbed.read_text()
        assert not [*path.parent.rglob(".*.draft")]
        assert (path.parent / "pipeline" / "config.yaml").is_file()
