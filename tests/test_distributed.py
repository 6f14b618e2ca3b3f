"""Several processes"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import generate_conversations
from test_recipe import STAGES, tiny_recipe

from pyannote_prune.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


def run(*command) -> str:
    environment = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    return generate_conversations(tmp_path_factory.mktemp("conversations"))


def test_two_processes_compute_what_one_does(database, tmp_path):
    """Gates, multipliers and weights are the same in both, and those of the same batches in one"""
    script = HERE / "ddp_script.py"
    for name, devices in (("pair", 2), ("single", 1)):
        run(script, database, "Generated.SpeakerDiarization.Mini", tmp_path / name, devices)
    first, second, single = (
        torch.load(tmp_path / name) for name in ("pair.0", "pair.1", "single.0")
    )
    assert [x["world_size"] for x in (first, second, single)] == [2, 2, 1]
    assert {"sparsity/expected", "lambda/1", "gradient/norm"} <= single["logged"].keys()
    changed = set()
    for key, value in single["after"].items():
        assert torch.equal(first["after"][key], second["after"][key]), key
        torch.testing.assert_close(first["after"][key], value, rtol=1e-9, atol=1e-9, msg=key)
        # multipliers are attached when training starts
        if key not in single["before"] or not torch.equal(value, single["before"][key]):
            changed.add(key.rsplit(".", 1)[-1])
    assert {"weight", "log_alpha", "lambda1", "lambda2"} <= changed
    for name in ("sparsity/expected", "sparsity/target", "lambda/1", "lambda/2", "gradient/norm"):
        assert first["logged"][name] == second["logged"][name], name
        assert first["logged"][name] == pytest.approx(single["logged"][name], rel=1e-9), name


def test_recipe_runs_in_two_processes_however_they_are_started(database, tmp_path):
    """By Lightning, which starts the second one, or by torchrun, which starts both"""
    recipe = tiny_recipe(database)
    recipe["trainer"] |= {"devices": 2, "strategy": "ddp"}
    path = tmp_path / "recipe.yml"
    path.write_text(yaml.safe_dump(recipe))
    arguments = ("-m", "pyannote_prune", "train", path, "--output")
    output = run(*arguments, tmp_path / "lightning")
    assert output.count("Model of each stage") == 1
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    run(*launcher, *arguments, tmp_path / "torchrun")
    one, other = tmp_path / "lightning", tmp_path / "torchrun"
    for stage in STAGES:
        found, expected = (
            load_checkpoint(folder / stage / "model.ckpt").state_dict() for folder in (one, other)
        )
        assert all(torch.equal(found[key], value) for key, value in expected.items()), stage
    assert (one / "summary.json").read_text() == (other / "summary.json").read_text()
    assert (one / "pipeline" / "config.yaml").is_file()
