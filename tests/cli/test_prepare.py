"""`pyannote-prune prepare`"""

import pytest
from official import textgrid, write_alimeeting, write_text
from typer.testing import CliRunner

from pyannote_prune.cli import app


@pytest.fixture
def source(tmp_path):
    return write_alimeeting(tmp_path / "source")


def run(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["prepare", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result.exit_code, " ".join(result.output.split())


def test_subsets_are_summed_up(source, tmp_path, monkeypatch):
    """Where the command is run, unless told otherwise"""
    path = source / "Train_Ali_far" / "textgrid_dir" / "R0003_M0047.TextGrid"
    write_text(path, textgrid([(0.5, 0.5, "a"), (1.0, 9.0, "a")]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    code, output = run("alimeeting", source)
    assert code == 0, output
    assert "│ train │ 2 │ 0.0 │ 0.0 │ 1 to 2 │ 11.1% │" in output
    assert "│ test │ 1 │ 0.0 │ 0.0 │ 2 │ 20.0% │" in output
    assert "train: turns without duration, left out: 1" in output
    assert (
        "train: turns after the end of their recording, cut or left out: R0003_M0047_MS006 (1)"
        in output
    )
    assert "test:" not in output
    assert "Wrote data/AliMeeting" in output
    assert "Protocol: AliMeeting.SpeakerDiarization.Far" in output
    assert (
        tmp_path / "data" / "AliMeeting" / "lists" / "test.lst"
    ).read_text() == "R8002_M8002_MS802\n"


def test_errors_are_messages(source, tmp_path):
    code, output = run("aishell4", source, tmp_path / "data")
    assert code == 1
    assert "`source` must hold train_L, train_M, train_S and test" in output
    code, output = run("callhome", source, tmp_path / "data")
    assert code == 2
    assert not (tmp_path / "data").exists()
