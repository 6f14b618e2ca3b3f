"""A folder of results is that of one request: no other results are lost or taken for its own"""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from running import NAME, edit, run, write_recording, write_small_protocol

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def score(pipeline, database: Path, into: Path, *options, code: int = 0) -> str:
    arguments = ("--protocol", NAME, "--database", database, "--into", into, *options)
    return run(pipeline, *arguments, code=code)


def test_scores_of_another_subset_or_database_are_not_overwritten(exported, tmp_path):
    database = write_small_protocol(tmp_path / "v1", test=("one",), development=("one",))
    into = tmp_path / "out"
    score(exported, database, into)
    before = content(into)
    output = score(exported, database, into, "--subset", "development", code=1)
    assert "`--into` must be new, or the folder of the same application" in output
    assert "other values of subset (here 'development', there 'test')" in output
    shutil.copytree(tmp_path / "v1", tmp_path / "v2")
    output = score(exported, tmp_path / "v2" / "database.yml", into, code=1)
    assert "other values of database" in output
    assert content(into) == before
    assert "already there" in score(exported, database, into)


def test_scores_of_other_references_are_kept(exported, tmp_path):
    database, into = write_small_protocol(tmp_path / "data"), tmp_path / "out"
    score(exported, database, into)
    before = content(into)
    edit(tmp_path / "data" / "test.rttm", "one 1 0.500 1.500", "one 1 0.500 1.000")
    output = score(exported, database, into)
    assert output.count("already there") == 2
    assert "Former scores, of other references or recordings: " in output
    assert (into / "scores-1.csv").read_bytes() == before["scores.csv"]
    assert (into / "scores.csv").read_bytes() != before["scores.csv"]


def test_replaced_recordings_are_diarized_again(exported, tmp_path):
    for seed, name in enumerate(("one", "two")):
        write_recording(tmp_path / f"{name}.wav", seed)
    into, both = tmp_path / "out", (tmp_path / "one.wav", tmp_path / "two.wav")
    run(exported, *both, "--into", into)
    before = content(into)
    # nothing that was done is done again, in whatever order
    assert run(exported, *reversed(both), "--into", into).count("already there") == 2
    # another one, from long ago, of the same length
    write_recording(tmp_path / "one.wav", seed=2)
    os.utime(tmp_path / "one.wav", ns=(10**18, 10**18))
    output = run(exported, *both, "--into", into)
    assert "Diarizing again, since their audio has changed: 'one'" in output
    assert re.search(r"one: \d speakers? in .* two: \d speakers?, already there", output)
    after = content(into)
    assert after["one.rttm"] != before["one.rttm"]
    assert {name: after[name] for name in ("two.rttm", "two.json")} == {
        name: before[name] for name in ("two.rttm", "two.json")
    }
    # the same results as in a folder of its own
    run(exported, tmp_path / "one.wav", "--into", tmp_path / "alone")
    assert content(tmp_path / "alone")["one.rttm"] == after["one.rttm"]
    # another file of that name
    shutil.copy(tmp_path / "two.wav", tmp_path / "one.WAV")
    output = run(exported, tmp_path / "one.WAV", "--into", into)
    assert "Diarizing again, since their audio has changed: 'one'" in output


def test_replaced_recordings_of_a_protocol_are_diarized_and_scored_again(exported, tmp_path):
    database, into = write_small_protocol(tmp_path / "data"), tmp_path / "out"
    score(exported, database, into)
    before = content(into)
    write_recording(tmp_path / "data" / "two.wav", seed=5)
    output = score(exported, database, into)
    assert "Diarizing again, since their audio has changed: 'two'" in output
    assert re.search(r"one: \d speakers?, already there .*two: \d speakers? in ", output)
    assert (into / "scores-1.csv").read_bytes() == before["scores.csv"]


def test_recordings_that_are_newer_than_results_of_0_1_0_are_diarized_again(exported, tmp_path):
    write_recording(tmp_path / "one.wav")
    into = tmp_path / "out"
    run(exported, tmp_path / "one.wav", "--into", into)
    (into / "recordings.csv").unlink()
    assert "already there" in run(exported, tmp_path / "one.wav", "--into", into)
    (into / "recordings.csv").unlink()
    later = (into / "one.rttm").stat().st_mtime_ns + 10**9
    os.utime(tmp_path / "one.wav", ns=(later, later))
    assert "Diarizing again, since their audio has changed" in run(
        exported, tmp_path / "one.wav", "--into", into
    )


def test_folders_of_0_1_0_go_on(exported, tmp_path):
    """They do not say which subset of which database they are of"""
    database, into = write_small_protocol(tmp_path / "data"), tmp_path / "out"
    score(exported, database, into)
    request = yaml.safe_load((into / "application.yml").read_text())
    former = {key: request[key] for key in ("pipeline", "source")}
    assert former["source"] == NAME
    (into / "application.yml").write_text(yaml.safe_dump(former))
    assert score(exported, database, into).count("already there") == 2
    assert yaml.safe_load((into / "application.yml").read_text()) == request


@pytest.mark.parametrize("protocol", [True, False])
def test_projects_that_moved_go_on(exported, tmp_path, protocol):
    def go_on(folder: Path) -> str:
        if protocol:
            return score(exported, folder / "data" / "database.yml", folder / "out")
        return run(exported, folder / "data", "--into", folder / "out")

    write_small_protocol(tmp_path / "here" / "data")
    go_on(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert go_on(tmp_path / "there").count("already there") == 2
    # what is at the former place now is something else
    shutil.copytree(tmp_path / "there" / "data", tmp_path / "here" / "data")
    (tmp_path / "there" / "out").rename(tmp_path / "here" / "out")
    with pytest.raises(AssertionError, match="`--into` must be new"):
        go_on(tmp_path / "here")


def test_numbers_of_speakers_belong_to_the_request(exported, tmp_path):
    write_recording(tmp_path / "one.wav")
    into, before = tmp_path / "out", None
    for options in (["--num-speakers", 2], ["--min-speakers", 1, "--max-speakers", 2]):
        into = tmp_path / f"out{len(options)}"
        output = run(exported, tmp_path / "one.wav", "--into", into, *options)
        before = content(into)
        message = run(exported, tmp_path / "one.wav", "--into", into, code=1)
        assert f"other values of {options[0][2:].replace('-', '_')} (here None" in message or (
            "other values of max_speakers (here None" in message
        )
        assert content(into) == before
        output = run(exported, tmp_path / "one.wav", "--into", into, *options)
        assert "already there" in output
