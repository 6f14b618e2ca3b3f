"""One process at a time writes a folder, and says who it is"""

import errno
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from conversations import generate_conversations
from recipes import tiny_recipe
from voices import generate_voices

from pyannote_prune.benchmark.accuracy import SMALL, Experiment
from pyannote_prune.data.simulation import Simulation, simulate
from pyannote_prune.files import lock_files, locks
from pyannote_prune.files.locks import in_use
from pyannote_prune.files.parts import Part
from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.load import claim_results
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.quickstart import quickstart
from pyannote_prune.recipe.run import RecipeRun

# what a process does that holds locks until it ends
HOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from pyannote_prune.files.locks import in_use
from pyannote_prune.files.parts import Part

with ExitStack() as locks:
    for line in sys.stdin:
        part, folder = line.rstrip("\\n").split(" ", 1)
        part = Part.parse(part) if part else None
        locks.enter_context(in_use(Path(folder), part=part))
        print("held", flush=True)
"""

# what one of four processes does that update a file of a folder
COUNT = """
import sys
from pathlib import Path
from pyannote_prune.files.locks import in_use, updating
from pyannote_prune.files.parts import Part

folder, index = Path(sys.argv[1]), int(sys.argv[2])
count = folder / "count"
for _ in range(20):
    with in_use(folder, part=Part(index, 4)), updating(folder):
        count.write_text(str(int(count.read_text()) + 1))
"""


class Holder:
    """Another process"""

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", HOLD], text=True, **pipes)

    def hold(self, folder, part: str = "") -> str:
        """What is said to those who want the same folder"""
        self.process.stdin.write(f"{part} {folder}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "held\n"
        return f"'{folder}', in use by process {self.process.pid} of {socket.gethostname()}, since"

    def end(self, signum=None):
        self.process.send_signal(signum) if signum else self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def holder():
    it = Holder()
    yield it
    it.end()


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    return generate_voices(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    database = generate_conversations(tmp_path_factory.mktemp("conversations"))
    return Recipe.from_dict(tiny_recipe(database))


@pytest.mark.parametrize(
    "command",
    [
        lambda folder, recipe, voices: RecipeRun(recipe, folder),
        lambda folder, recipe, voices: quickstart(folder),
        lambda folder, recipe, voices: claim_results(folder, "owner/pipeline", "recordings"),
        lambda folder, recipe, voices: claim_results(folder, "owner/it", "me", part=Part(1, 2)),
        lambda folder, recipe, voices: next(apply_pipeline(None, [], folder)),
        lambda folder, recipe, voices: next(apply_pipeline(None, [], folder, part=Part(1, 2))),
        lambda folder, recipe, voices: Experiment(voices, folder, SMALL)(),
        lambda folder, recipe, voices: simulate(voices, folder, Simulation(num_train=1)),
    ],
    ids=["train", "quickstart", "claim", "claim 1/2", "apply", "apply 1/2", "accuracy", "simulate"],
)
def test_folder_that_another_process_uses_is_refused_and_left_alone(
    tmp_path, holder, voices, recipe, command
):
    folder = tmp_path / "folder"
    message = holder.hold(folder)
    (folder / ".file.x.draft").write_text("half")
    with pytest.raises(ValueError, match=message):
        command(folder, recipe, voices)
    assert sorted(os.listdir(folder)) == [".file.x.draft", ".lock"]


@pytest.mark.parametrize("signum", [None, signal.SIGKILL])
def test_process_that_has_ended_does_not_count(tmp_path, signum):
    other = Holder()
    message = other.hold(tmp_path)
    with pytest.raises(ValueError, match=message), in_use(tmp_path):
        pass
    other.end(signum)
    assert (tmp_path / ".lock").exists() == (signum is not None)
    with in_use(tmp_path):
        assert f"process {os.getpid()} of " in (tmp_path / ".lock").read_text()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("held", "wanted", "way_out"),
    [
        ("1/2", "2/2", None),
        ("1/2", "1/2", "it does part 1/2. Wait for it to end, or give another part"),
        ("1/2", "1/3", "Wait for all parts to end, or give another part of 2"),
        ("1/2", "", "it does part 1/2. Wait for all parts to end, or give another part of 2"),
        ("", "1/2", "wait for it to end, or choose another folder"),
    ],
)
def test_parts_exclude_what_would_overlap(tmp_path, holder, held, wanted, way_out):
    message = holder.hold(tmp_path, held)
    before = sorted(os.listdir(tmp_path))
    part = Part.parse(wanted) if wanted else None
    if way_out is None:
        with in_use(tmp_path, part=part):
            assert (tmp_path / ".lock-2-of-2").is_file()
    else:
        with pytest.raises(ValueError, match=message) as caught, in_use(tmp_path, part=part):
            pass
        assert way_out in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("part", [None, Part(1, 2), Part(2, 2), Part(1, 3)])
def test_part_that_was_killed_does_not_count(tmp_path, part):
    other = Holder()
    other.hold(tmp_path, "1/2")
    other.end(signal.SIGKILL)
    assert (tmp_path / ".lock-1-of-2").is_file()
    with in_use(tmp_path, part=part):
        pass
    if part is not None and part.count == 2:  # its file stays until the part, or all, is done
        with in_use(tmp_path, part=Part(1, 2)):
            pass
    assert os.listdir(tmp_path) == []


def test_processes_with_parts_update_the_same_file_in_turns(tmp_path):
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(index)]) for index in range(1, 5)]
    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "count").read_text() == "80"
    assert os.listdir(tmp_path) == ["count"]


def test_update_that_takes_long_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    child = os.fork()
    if not child:
        with locks.updating(tmp_path):
            (tmp_path / "started").touch()
            time.sleep(0.5)
            (tmp_path / "ended").touch()
            os._exit(0)  # without any clean-up
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    with locks.updating(tmp_path):
        assert (tmp_path / "ended").exists()
    os.waitpid(child, 0)
    assert f"Waiting for process {child} of " in caplog.text
    assert caplog.text.count("Waiting") == 1


def test_fork_that_outlives_its_process_does_not_count(tmp_path):
    """Workers, which notice that a training was killed after some seconds"""
    child = os.fork()
    if not child:
        with in_use(tmp_path):
            worker = os.fork()
            if not worker:
                signal.pause()
            (tmp_path / "worker").write_text(str(worker))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    worker = int((tmp_path / "worker").read_text())
    os.kill(worker, 0)  # it is still there
    try:
        with in_use(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_process_does_not_keep_itself_out(tmp_path):
    for _ in range(2):
        with in_use(tmp_path / "new"):
            assert (tmp_path / "new" / ".lock").is_file()
        assert os.listdir(tmp_path / "new") == []


def test_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("do not touch")
    message = "`--into` must be a folder, found the file '.*file': choose another one"
    with pytest.raises(ValueError, match=message), in_use(tmp_path / "file", "--into"):
        pass
    assert (tmp_path / "file").read_text() == "do not touch"


def test_file_system_without_locks_is_used_nevertheless(tmp_path, monkeypatch, caplog):
    def lockf(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_files.fcntl, "lockf", lockf)
    with in_use(tmp_path):
        assert "cannot be locked (No locks available): start no other command" in caplog.text
