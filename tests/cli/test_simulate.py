"""`pyannote-prune simulate`"""

import pytest
import yaml
from conversations import generate_conversations
from pyannote.database import registry
from typer.testing import CliRunner
from voices import generate_voices

from pyannote_prune.cli import app
from pyannote_prune.data.simulation import TurnStatistics

FEW = ["--train", "2", "--development", "1", "--test", "0", "--duration", "5"]


def test_conversations_are_written(voices, tmp_path):
    output = tmp_path / "data"
    options = ["--speed", "1", "--t60", "0.1", "0.3", "--clean", "--name", "Mine"]
    result = CliRunner().invoke(app, ["simulate", str(voices), str(output), *FEW, *options])
    assert result.exit_code == 0, result.output
    assert "Mine.SpeakerDiarization.Conversations" in result.output
    registry.load_database(output / "database.yml")
    protocol = registry.get_protocol("Mine.SpeakerDiarization.Conversations")
    assert len([*protocol.train()]) == 2
    assert all("@" not in name for f in protocol.train() for name in f["annotation"].labels())
    written = yaml.safe_load((output / "simulation.yml").read_text())
    assert (written["snr"], written["t60"]) == (None, [0.1, 0.3])
    assert written["statistics"] == TurnStatistics.default().to_dict()


def test_turns_are_those_of_real_conversations(voices, tmp_path, protocol, database):
    """Real meetings where they are at hand"""
    command = ["simulate", str(voices), str(tmp_path / "data"), *FEW, "--like", str(database)]
    result = CliRunner().invoke(app, [*command, "--protocol", protocol.name])
    assert result.exit_code == 0, result.output
    written = yaml.safe_load((tmp_path / "data" / "simulation.yml").read_text())
    assert written["statistics"] == TurnStatistics.measure(protocol.train()).to_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--like", "database.yml"], "`--like` and `--protocol` go together"),
        (["--max-speakers", "50"], "`max_speakers` must be at most the number of speakers"),
        (["--snr", "30", "10"], "`snr` must be two increasing values in dB"),
        (
            ["--speakers", "apart", "--test", "9", "--max-speakers", "3"],
            "`speakers` can be 'apart' with",
        ),
        (
            ["--test-speakers", "nobody"],
            "`test_speakers` must be speakers of `voices`, found 'nobody'",
        ),
        (["--speed", "9"], "`speeds` must be different factors between 0.5 and 2"),
    ],
)
def test_impossible_options_are_refused(voices, tmp_path, options, message):
    command = ["simulate", str(voices), str(tmp_path / "data"), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_references_that_training_would_refuse_are_not_measured(voices, tmp_path):
    like = generate_conversations(tmp_path / "real", "Real")
    rttm = like.with_name("train.rttm")
    rttm.write_text(rttm.read_text().replace(" s0 ", " Ms A "))
    command = ["simulate", str(voices), str(tmp_path / "data"), *FEW, "--like", str(like)]
    result = CliRunner().invoke(app, [*command, "--protocol", "Real.SpeakerDiarization.Mini"])
    assert result.exit_code == 1
    assert "train.rttm', line 1: it must have at most 10 fields" in " ".join(result.output.split())
    assert not (tmp_path / "data").exists()


def test_what_is_left_out_is_counted(tmp_path):
    voices = generate_voices(tmp_path / "voices")
    (voices / "speaker 0" / "notes.txt").touch()
    result = CliRunner().invoke(app, ["simulate", str(voices), str(tmp_path / "data"), *FEW])
    assert result.exit_code == 0, result.output
    assert f"Left out of {voices}: 1 .txt" in " ".join(result.output.split())


def test_speakers_are_apart_and_it_is_said(tmp_path):
    voices = generate_voices(tmp_path / "voices", num_speakers=9, num_recordings=3)
    (voices / "nobody").mkdir()
    (tmp_path / "test.txt").write_text("speaker_1\nspeaker 2\n")
    options = ["--max-speakers", "2", "--test-speakers", str(tmp_path / "test.txt"), "--repeat"]
    options += ["--test-speakers", "*_8"]
    command = ["simulate", str(voices), str(tmp_path / "data"), *FEW, *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "Speakers apart: 4 train, 2 development, 3 test" in output
    assert "folders without audio: ['nobody']" in output
    written = yaml.safe_load((tmp_path / "data" / "simulation.yml").read_text())
    assert written["test_speakers"] == ["speaker_1", "speaker_2", "speaker_8"]
    assert (written["speakers"], written["repeat"]) == ("apart", True)
    result = CliRunner().invoke(app, [*command, "--speakers", "shared"])
    assert result.exit_code == 1
    assert "speakers (here 'shared', there 'apart')" in " ".join(result.output.split())


def test_protocols_that_are_measured_are_checked(voices, tmp_path):
    """Those of the file that is given alone, and their references line by line"""
    database = generate_conversations(tmp_path / "database", "Measured")
    command = ["simulate", str(voices), str(tmp_path / "data"), *FEW, "--like", str(database)]
    rttm = tmp_path / "database" / "train.rttm"
    rttm.write_text(rttm.read_text().replace(" 1 1.000", " 1 1,000"))
    for name, message in (
        ("Measured.SpeakerDiarization.Mini", "train.rttm', line 1: it must have numbers"),
        ("Measured.SpeakerDiarization.Midi", "`protocol` must be one of"),
        ("Measured", "`protocol` must be one of"),
        ("AMIExcerpts.SpeakerDiarization.Mini", "`protocol` must be one of"),
    ):
        result = CliRunner().invoke(app, [*command, "--protocol", name])
        assert result.exit_code == 1
        assert message in " ".join(result.output.split())
        assert "Traceback" not in result.output
    assert not (tmp_path / "data").exists()
