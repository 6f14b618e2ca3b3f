"""Several processes"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conversations import generate_conversations
from recipes import STAGES, tiny_recipe

from pyannote_prune.segmentation.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow
HERE = Path(__file__).parents[1] / "support"


def start(*command, **environment) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-4000:]
    return output


def run(*command) -> str:
    return finish(start(*command))


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    return generate_conversations(tmp_path_factory.mktemp("conversations"))


# names of what each task changes, of what it logs in steps, and of what it logs in validations
PRUNING = (
    {"weight", "log_alpha", "lambda1", "lambda2"},
    {
        "loss/distillation",
        "loss/output",
        "loss/task",
        "sparsity/expected",
        "sparsity/target",
        "lambda/1",
        "lambda/2",
    },
    {
        "loss/distillation/val",
        "loss/output/val",
        "loss/task/val",
        "loss/total/val",
        "sparsity/expected/val",
    },
)
TEACHING = ({"weight"}, {"loss/output", "loss/train"}, set())
# what a process logs of its own samples
SEEN_BY_ONE = {"loss/distillation", "loss/output", "loss/task", "loss/train"}


@pytest.mark.parametrize(
    ("task", "names"),
    [("pruning", PRUNING), ("teaching", TEACHING)],
    ids=["pruning", "teaching"],
)
def test_two_processes_compute_what_one_does(database, tmp_path, task, names):
    """Gates, multipliers and weights are the same in both, and those of the same batches in one

    One sample of one process is not finite: both leave that step out, and that one names files.
    """
    expected_changes, steps, validations = names
    script = HERE / "ddp_script.py"
    for name, devices in (("pair", 2), ("single", 1)):
        run(script, database, "Generated.SpeakerDiarization.Mini", tmp_path / name, devices, task)
    first, second, single = (
        torch.load(tmp_path / name) for name in ("pair.0", "pair.1", "single.0")
    )
    assert [x["world_size"] for x in (first, second, single)] == [2, 2, 1]
    assert [x["num_skipped"] for x in (first, second, single)] == [1, 1, 1]
    for (said,), is_named in (
        (first["said"], False),
        (second["said"], True),
        (single["said"], True),
    ):
        assert ("on files of another process" in said) is not is_named
        assert (".wav: left out" in said) is is_named
    assert {*steps, "gradient/norm"} <= single["logged"].keys()
    changed = set()
    for key, value in single["after"].items():
        assert torch.equal(first["after"][key], second["after"][key]), key
        torch.testing.assert_close(first["after"][key], value, rtol=1e-9, atol=1e-9, msg=key)
        # multipliers are attached when training starts
        if key not in single["before"] or not torch.equal(value, single["before"][key]):
            changed.add(key.rsplit(".", 1)[-1])
    assert expected_changes <= changed
    for name in {"gradient/norm", *steps} - SEEN_BY_ONE:
        assert first["logged"][name] == second["logged"][name], name
        assert first["logged"][name] == pytest.approx(single["logged"][name], rel=1e-9), name
    # what is monitored is the mean over all samples, of which there is an odd number
    names = {"loss/val", "DiarizationErrorRate", *validations}
    assert names <= single["validated"].keys()
    for name in names:
        assert first["validated"][name] == second["validated"][name], name
        expected = pytest.approx(single["validated"][name], rel=1e-6)
        assert first["validated"][name] == expected, name


def test_recipe_runs_in_two_processes_however_they_are_started(database, tmp_path):
    """By Lightning, which starts the second one, or by torchrun, which starts both"""
    recipe = tiny_recipe(database)
    recipe["trainer"] |= {"devices": 2, "strategy": "ddp"}
    for name, num_epochs in (("fine_tune", 1), ("prune", 2), ("distil", 1), ("train", 1)):
        recipe["stages"][name]["max_epochs"] = num_epochs
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
    assert not list(one.rglob(".*"))


def test_recipe_runs_on_two_machines(database, tmp_path):
    """They share the folder of the run, not that of temporary files

    Models are not those of two processes of one machine: pyannote.audio draws other samples.
    """
    recipe = tiny_recipe(database)
    recipe["trainer"] |= {"devices": 1, "num_nodes": 2, "strategy": "ddp"}
    for name in ("distil", "train"):
        recipe["stages"][name]["max_epochs"] = 0
    path, folder = tmp_path / "recipe.yml", tmp_path / "run"
    path.write_text(yaml.safe_dump(recipe))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    machines = []
    for rank in range(2):
        temporary = tmp_path / f"machine{rank}"
        temporary.mkdir()
        where = ("--nnodes", 2, "--node-rank", rank, "--nproc-per-node", 1, "--master-port", port)
        launcher = ("-m", "torch.distributed.run", *where, "-m", "pyannote_prune")
        machines.append(start(*launcher, "train", path, "--output", folder, TMPDIR=str(temporary)))
    outputs = [finish(machine) for machine in machines]
    assert sum(output.count("Model of each stage") for output in outputs) == 1
    summary = json.loads((folder / "summary.json").read_text())
    assert [*summary] == ["fine_tune", "prune"]
    assert summary["prune"]["sparsity"] == pytest.approx(0.5, abs=0.005)
    assert (folder / "pipeline" / "config.yaml").is_file()
    assert not list(folder.rglob(".*"))
