"""Killed at any moment, a recipe ends as if undisturbed"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import generate_conversations
from test_recipe import STAGES, tiny_recipe

from pyannote_prune.checkpoint import load_checkpoint

NUM_KILLS = 20
# of an undisturbed run: some attempts do not reach their first checkpoint, others several stages
LONGEST = 0.4


@pytest.mark.slow
def test_killed_twenty_times_it_ends_as_if_undisturbed(tmp_path):
    """At random moments, and, every other time, while a checkpoint is being written"""
    recipe = tmp_path / "recipe.yml"
    data = generate_conversations(tmp_path / "data")
    recipe.write_text(yaml.safe_dump(tiny_recipe(data) | {"in_memory": True}))
    script = Path(__file__).with_name("crash_script.py")
    command = [sys.executable, script, recipe, tmp_path, str(NUM_KILLS), str(LONGEST)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=900)
    logs = [path.read_text()[-2000:] for path in tmp_path.glob("*.log")]
    assert process.returncode == 0, (process.stderr, logs)

    kills = json.loads((tmp_path / "kills.json").read_text())
    assert len(kills) == NUM_KILLS
    # the test would be worth nothing if all kills came at the same place
    assert len({tuple(kill["stages"]) for kill in kills}) >= 3
    assert any(kill["drafts"] for kill in kills)

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
