"""Protocols of another domain are known to be readable before anything is trained"""

from pathlib import Path

import pytest
from conversations import generate_conversations

from pyannote_prune.benchmark.accuracy import Experiment

NAME = "Other.SpeakerDiarization.Mini"


@pytest.fixture
def database(tmp_path) -> Path:
    return generate_conversations(tmp_path / "other", "Other")


def experiment(database: Path, name: str = NAME) -> Experiment:
    folder = database.parents[1]
    return Experiment(folder / "voices", folder / "run", out_of_domain=(database, name))


def test_good_references_are_found(database):
    files = [*experiment(database).load_out_of_domain().development()]
    assert [file["uri"] for file in files] == ["development0", "development1"]
    assert all(file["annotation"].labels() == ["s0", "s1"] for file in files)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" s0 ", " NA ", r"development.rttm', line 1: it must have a speaker as field 8"),
        (
            "SPEAKER development1",
            "SPEAKER elsewhere1",
            "reference of 'development1' must have speaker turns",
        ),
    ],
)
def test_wrong_references_are_refused_before_anything_is_written(database, old, new, message):
    path = database.with_name("development.rttm")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=f"In the development set of {NAME}: .*{message}"):
        experiment(database)()
    assert not (database.parents[1] / "run").exists()


def test_unknown_protocol_is_refused(database):
    with pytest.raises(ValueError, match="`protocol` must be one of .*Other"):
        experiment(database, "Other.SpeakerDiarization.None")()
