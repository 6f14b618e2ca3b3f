"""`pyannote-prune apply --part`: several processes, one folder"""

import multiprocessing
import random
from pathlib import Path

import pytest
import torch
from pyannote.core import Annotation, Segment
from running import NAME, run, write_recording, write_small_protocol

from pyannote_prune.files.atomic import draft_of
from pyannote_prune.files.parts import Part
from pyannote_prune.pipeline import load
from pyannote_prune.pipeline.recordings import recordings_of_part

NAMES = ("b", "d", "a", "e", "c")
PARTS = {"1/2": {"a", "c", "e"}, "2/2": {"b", "d"}}


class Fake:
    """Pipeline whose result depends on the recording, and takes no time"""

    def __init__(self, identity: str):
        self.identity = identity

    def __call__(self, file, hook=None) -> Annotation:
        annotation = Annotation()
        annotation[Segment(0.5, 2.0 + sum(file["uri"].encode()) % 7 / 10)] = "someone"
        return annotation

    apply = __call__


@pytest.fixture
def fake(monkeypatch) -> str:
    monkeypatch.setattr(load, "load_pipeline", lambda pipeline, device: Fake(pipeline))
    return "fake"


@pytest.fixture
def database(tmp_path) -> Path:
    return write_small_protocol(tmp_path / "data", test=NAMES)


def apply(pipeline, database: Path, into: Path, *options, code: int = 0) -> str:
    arguments = ("--protocol", NAME, "--database", database, "--into", into, *options)
    return run(pipeline, *arguments, code=code)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def done(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.rttm")}


@pytest.mark.parametrize("seed", range(20))
def test_parts_depend_on_names_alone(seed):
    rng = random.Random(seed)
    recordings = [{"uri": f"{number}"} for number in rng.sample(range(1000), rng.randrange(1, 50))]
    count = rng.randrange(1, 9)
    parts = [recordings_of_part(recordings, Part(k, count)) for k in range(1, count + 1)]
    rng.shuffle(recordings)
    assert parts == [recordings_of_part(recordings, Part(k, count)) for k in range(1, count + 1)]
    found = [one["uri"] for part in parts for one in part]
    assert sorted(found) == sorted(one["uri"] for one in recordings)


@pytest.mark.parametrize("order", [("1/2", "2/2"), ("2/2", "1/2")])
def test_parts_one_after_the_other_leave_the_files_of_one_process(fake, database, tmp_path, order):
    out = tmp_path / "out"
    first, second = order
    output = apply(fake, database, out, "--part", first)
    assert done(out) == PARTS[first]
    assert f"recordings of part {first}" in output
    assert f"{len(PARTS[second])} of 5 recordings of all parts have no results yet" in output
    assert not (out / "scores.csv").exists()
    assert "over 5 recordings (no collar" in apply(fake, database, out, "--part", second)
    apply(fake, database, tmp_path / "alone")
    assert content(out) == content(tmp_path / "alone")
    assert len((out / "scores.csv").read_text().splitlines()) == 2 + 1 + 5 + 1


def test_parts_do_not_depend_on_what_is_done(fake, database, tmp_path):
    out = tmp_path / "out"
    apply(fake, database, out, "--part", "2/3")
    assert done(out) == {"b", "e"}
    output = apply(fake, database, out, "--part", "1/2")
    assert done(out) == {"b", *PARTS["1/2"]}
    assert output.count("already there") == 1


def test_runs_with_and_without_parts_continue_each_other(fake, database, tmp_path):
    out = tmp_path / "out"
    apply(fake, database, out, "--part", "1/2")
    assert apply(fake, database, out).count("already there") == 3
    after = content(out)
    assert apply(fake, database, out, "--part", "2/2").count("already there") == 2
    assert content(out) == after


def test_more_parts_than_recordings(fake, database, tmp_path):
    assert "5 of 5 recordings" in apply(fake, database, tmp_path / "out", "--part", "7/9")
    assert done(tmp_path / "out") == set()


def test_recordings_that_fail_are_left_to_a_run_without_parts(fake, database, tmp_path):
    out = tmp_path / "out"
    apply(fake, database, out, "--part", "1/2")
    # the result of this one cannot be written, nor read
    (out / "d.rttm").mkdir()
    assert "1 of 2 recordings failed: d: " in apply(fake, database, out, "--part", "2/2", code=1)
    assert "over 4 recordings (no collar" in apply(fake, database, out, code=1)


def test_a_part_redoes_its_own_recordings_alone(fake, database, tmp_path):
    out = tmp_path / "out"
    apply(fake, database, out)
    for name in ("a", "b"):
        write_recording(database.parent / f"{name}.wav", seed=9)
    output = apply(fake, database, out, "--part", "1/2")
    assert "Diarizing again, since their audio has changed: 'a' a: " in output
    output = apply(fake, database, out, "--part", "2/2")
    assert "Diarizing again, since their audio has changed: 'b' b: " in output


def test_a_part_removes_its_own_drafts_alone(fake, database, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    apply(fake, database, out, "--part", "1/2")
    names = ("a.json", "c.rttm", "b.rttm", "a.rttm.rttm", "recordings.csv")
    mine, also_mine, theirs, another, shared = (draft_of(out / name) for name in names)
    apply(fake, database, out, "--part", "1/2")
    assert not any(path.exists() for path in (mine, also_mine, shared))
    assert theirs.exists()
    assert another.exists()
    apply(fake, database, out)
    assert not [*out.glob(".*")]


@pytest.mark.filterwarnings("ignore")
def test_two_processes_at_once_leave_the_files_of_one(exported, database, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2, timeout=60)
    out = tmp_path / "out"

    def do(part: str):
        torch.set_num_threads(1)
        claim = load.claim_results

        def claim_together(*args, **kwargs):
            barrier.wait()  # loaded
            replaced = claim(*args, **kwargs)
            barrier.wait()  # both have the folder
            return replaced

        load.claim_results = claim_together
        apply(exported, database, out, "--part", part)

    processes = [context.Process(target=do, args=(part,)) for part in PARTS]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    apply(exported, database, tmp_path / "alone")
    assert content(out) == content(tmp_path / "alone")
