"""Recordings that are looked at, those that are not, and their names"""

import json
import os

import pytest
from pyannote.core import Annotation
from pyannote.database.util import load_rttm
from running import run, write_recording
from typer.testing import CliRunner

from pyannote_prune.cli import app
from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.recordings import left_out, recordings_of_paths

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "talks"
    (folder / "more").mkdir(parents=True)
    write_recording(folder / "one.wav")
    write_recording(folder / "more" / "two.wav")
    (folder / "notes.txt").touch()
    (folder / "one.rttm").touch()
    (folder / ".hidden").touch()
    return folder


def test_what_is_left_out_of_folders_is_counted(exported, folder, tmp_path):
    output = run(exported, folder, "--into", folder / "out")
    assert f"Left out of {folder}: 1 .rttm, 1 .txt, 1 sub-folder. " in output
    # the folder of results does not count
    assert f"Left out of {folder}: 1 .rttm, 1 .txt, 1 sub-folder. " in run(
        exported, folder, "--into", folder / "out"
    )
    # named, sub-folders are looked at
    output = run(exported, folder, folder / "more", "--into", tmp_path / "both")
    assert sorted(path.name for path in (tmp_path / "both").glob("*.rttm")) == [
        "one.rttm",
        "two.rttm",
    ]
    assert f"{folder}/more: " not in output


def test_nothing_is_said_where_everything_is_done(folder):
    assert left_out([folder / "more", folder / "one.wav"]) == ""


def test_folders_without_recordings_say_what_they_have(folder):
    (folder / "one.wav").unlink()
    with pytest.raises(ValueError, match=r"found none \(.*talks: 1 .rttm, 1 .txt, 1 sub-folder\)"):
        recordings_of_paths([folder])


@pytest.mark.parametrize("charset", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_names_that_the_output_lacks_are_printed_escaped(exported, tmp_path, charset):
    (tmp_path / "in").mkdir()
    for name in ("会議", "été", "plain"):
        write_recording(tmp_path / "in" / f"{name}.wav")
    (tmp_path / "in" / "ö.mémo").touch()
    command = ["apply", str(exported), str(tmp_path / "in"), "--into", str(tmp_path / "réunion")]
    result = CliRunner(charset=charset).invoke(app, command)
    assert result.exit_code == 0, result.exception
    lines = result.output.splitlines()
    for name in ("会議", "été", "plain", "1 .mémo", "réunion"):
        printed = name.encode(charset, "backslashreplace").decode(charset)
        assert any(printed in line for line in lines), name
    names = sorted(path.name for path in (tmp_path / "réunion").glob("*.rttm"))
    assert names == ["plain.rttm", "été.rttm", "会議.rttm"]
    (found,) = load_rttm(tmp_path / "réunion" / "会議.rttm")
    assert found == "会議"


def test_names_that_are_not_utf8(exported, tmp_path):
    """Latin-1, say: Python has them as surrogates, which cannot be written"""
    folder, out = tmp_path / "r\udce9unions", tmp_path / "r\udce9sultats"
    try:
        folder.mkdir()
        write_recording(folder / "caf\udce9 1.wav")
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    output = run(exported, folder, "--into", out)
    assert "caf%E9_1: " in output
    assert "r\\udce9sultats" in output
    (found,) = load_rttm(out / "caf%E9_1.rttm")
    assert found == "caf%E9_1"
    assert json.loads((out / "caf%E9_1.json").read_text(encoding="utf-8"))["diarization"]
    assert "already there" in run(exported, folder, "--into", out)


def test_names_may_be_as_long_as_those_of_files(exported, tmp_path):
    name = "é" * 120 + "x" * 10  # 250 bytes
    write_recording(tmp_path / f"{name}.wav")
    run(exported, tmp_path / f"{name}.wav", "--into", tmp_path / "out")
    assert {f"{name}.rttm", f"{name}.json"} <= set(os.listdir(tmp_path / "out"))


def test_longer_names_are_refused_before_anything_is_diarized(exported, tmp_path):
    write_recording(tmp_path / "short.wav")
    path = tmp_path / ("x" * 251 + ".wav")
    write_recording(path)
    output = run(exported, tmp_path, "--into", tmp_path / "out", code=1)
    assert "must have at most 250 bytes, since results have the same names, found 'xxx" in output
    assert "(251 bytes): shorten it" in output
    assert not (tmp_path / "out").exists()


def test_recordings_whose_results_cannot_be_written_do_not_reach_the_pipeline(tmp_path):
    def diarize(recording, hook):
        done.append(recording["uri"])
        return Annotation()

    done, todo = [], [{"uri": "x" * 251}, {"uri": "one"}]
    long, short = apply_pipeline(diarize, todo, tmp_path)
    assert "(251 bytes)" in long.error
    assert short.error is None
    assert done == ["one"]
