"""Commands that are stopped exit as shells expect, and go on"""

import os
import signal
import subprocess
import sys

import pytest
import torch
import yaml
from helpers import wait_for
from recipes import STAGES, conversations_of_all_tests, finished_recipe, tiny_recipe

from pyannote_prune.cli.interruption import Interrupted, interruptible
from pyannote_prune.segmentation.checkpoint import load_checkpoint

SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


def handlers() -> list:
    return [signal.getsignal(signum) for signum, _ in SIGNALS]


@pytest.mark.parametrize(("signum", "status"), SIGNALS)
@pytest.mark.parametrize("exits", [None, 0, 1])
def test_signal_counts_whatever_is_made_of_it(signum, status, exits):
    """Lightning exits with 1 after SIGINT, and with 0 after SIGTERM"""

    def train():
        try:
            os.kill(os.getpid(), signum)
            signal.pause()
        except KeyboardInterrupt:
            if exits is not None:
                sys.exit(exits)
            raise

    before = handlers()
    with pytest.raises(Interrupted) as caught, interruptible():
        train()
    assert caught.value.status == status
    assert str(caught.value) == f"Stopped by {signum.name}: run the same command again to resume."
    assert handlers() == before


def test_second_signal_does_not_disturb_the_end():
    ends = []

    def train():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            ends.append("teardown")

    with pytest.raises(Interrupted, match="SIGTERM"), interruptible():
        train()
    assert ends == ["teardown"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_ignored_signals_still_are(signum):
    former = signal.signal(signum, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signum)
        assert signal.getsignal(signum) is signal.SIG_IGN
    finally:
        signal.signal(signum, former)


@pytest.mark.parametrize("error", [ValueError("of a recipe"), SystemExit(3)])
def test_other_ends_are_left_alone(error):
    before = handlers()
    with pytest.raises(type(error)) as caught, interruptible():
        raise error
    assert caught.value is error
    assert handlers() == before


def start(*arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "pyannote_prune", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, **pipes)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_stopped_training_goes_on_as_if_undisturbed(tmp_path, tmp_path_factory, devices):
    """By SIGTERM while it prunes, then by SIGINT while it distils"""
    plain = tiny_recipe(conversations_of_all_tests(tmp_path_factory))
    plain["trainer"] |= {"devices": devices, "strategy": "auto" if devices == 1 else "ddp"}
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(yaml.safe_dump(plain))
    runs = []
    if devices == 1:
        undisturbed = finished_recipe(tmp_path_factory)
    else:
        undisturbed = tmp_path / "undisturbed"
        runs.append(start("train", recipe, "--output", undisturbed))
    stopped = tmp_path / "stopped"
    for stage, (signum, status) in zip(("2-prune", "3-distil"), SIGNALS, strict=True):
        process = start("train", recipe, "--output", stopped)
        wait_for(stopped / stage / "checkpoints" / "last.ckpt", process, timeout=300)
        process.send_signal(signum)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == status, output
        assert output.count("run the same command again to resume.") == 1
        assert f"Stopped by {signum.name}: run the same" in output
        assert not (stopped / stage / "model.ckpt").exists()
        assert not (stopped / ".lock").exists()
    for process in (*runs, start("train", recipe, "--output", stopped)):
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
    for stage in STAGES:
        found, expected = (
            load_checkpoint(folder / stage / "model.ckpt").state_dict()
            for folder in (stopped, undisturbed)
        )
        assert all(torch.equal(found[key], value) for key, value in expected.items()), stage
