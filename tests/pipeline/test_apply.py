"""Pipelines that are applied where machines stop, fill up, move and leave files"""

import hashlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from conversations import write_wav
from helpers import largest_file
from pyannote.audio import Pipeline
from running import run as apply

from pyannote_prune.cli.bars import Bars
from pyannote_prune.files.atomic import WriteError
from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.card import CARD
from pyannote_prune.pipeline.load import _identity
from pyannote_prune.pipeline.recordings import recordings_of_paths

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def recordings(tmp_path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name, samples in zip(
        ("one", "other"), np.random.default_rng(0).standard_normal((2, 16000 * 4)), strict=True
    ):
        write_wav(folder / f"{name}.wav", 0.1 * samples)
    return folder


@pytest.mark.parametrize(
    "name", [".DS_Store", "segmentation/._x", "config.journal", "README.md", ".git/config"]
)
def test_files_that_a_pipeline_is_not_loaded_from_do_not_change_it(
    exported, recordings, tmp_path, name
):
    copied = shutil.copytree(exported, tmp_path / "pipeline")
    before = _identity(str(exported))
    apply(copied, recordings, "--into", tmp_path / "out")
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_bytes(b"\0")
    assert _identity(str(copied)) == before
    output = apply(copied, recordings, "--into", tmp_path / "out")
    assert output.count("already there") == 2


@pytest.mark.parametrize("name", ["config.yaml", "segmentation/pytorch_model.bin", "plda/plda.npz"])
def test_files_that_a_pipeline_is_loaded_from_do(exported, tmp_path, name):
    copied = shutil.copytree(exported, tmp_path / "pipeline")
    with (copied / name).open("ab") as file:
        file.write(b"\n")
    assert _identity(str(copied)) != _identity(str(exported))


def test_digest_of_a_pipeline_is_that_of_release_0_1_0(exported):
    """All its files, sorted, but the card, which it did not write: its results are found"""
    digest = hashlib.sha256()
    files = {path for path in exported.rglob("*") if path.is_file()} - {exported / CARD}
    for path in sorted(files):
        digest.update(path.relative_to(exported).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    assert _identity(str(exported)) == f"sha256:{digest.hexdigest()}"


@pytest.mark.parametrize("what", ["moved", "copied"])
def test_results_are_found_in_a_project_that_is_elsewhere(exported, recordings, tmp_path, what):
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(recordings, here / "recordings")
    apply(exported, here / "recordings", "--into", here / "out")
    here.rename(there) if what == "moved" else shutil.copytree(here, there)
    output = apply(exported, there / "recordings", "--into", there / "out")
    assert output.count("already there") == 2


def test_results_that_cannot_be_written_stop_everything(exported, recordings, tmp_path):
    loaded = Pipeline.from_pretrained(exported)
    done, todo = [], recordings_of_paths([recordings])
    with largest_file(100), pytest.raises(WriteError, match=r"one.json' could not be wr"):
        done += apply_pipeline(loaded, todo, tmp_path)
    assert done == []
    # what was computed before is kept, and the rest is done by the same command
    assert [one.error for one in apply_pipeline(loaded, todo, tmp_path)] == [None, None]
    assert not [*tmp_path.glob(".*")]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_command_says_that_it_goes_on(
    exported, recordings, tmp_path, monkeypatch, signum, code
):
    stopped = []

    def stop(self, *args, **kwargs):
        stopped.append(signum)
        os.kill(os.getpid(), signum)

    with monkeypatch.context() as context:
        context.setattr(Bars, "hook", stop)
        output = apply(exported, recordings, "--into", tmp_path / "out", code=code)
    assert stopped == [signum]
    assert output.endswith(f"Stopped by {signum.name}: run the same command again to resume.")
    assert not [*(tmp_path / "out").glob(".*")]
    assert "Wrote" in apply(exported, recordings, "--into", tmp_path / "out")
