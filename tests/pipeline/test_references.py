"""References that `train` refuses are not scored against, and never name speakers"""

import json
import re
from pathlib import Path

import pytest
from pyannote.database.util import load_rttm
from running import DURATION, NAME, edit, rttm, run, write_recording, write_small_protocol

from pyannote_prune.data.protocol import check_references, load_protocol
from pyannote_prune.data.protocol_files import list_recordings

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@pytest.fixture
def database(tmp_path) -> Path:
    return write_small_protocol(tmp_path / "data")


def score(pipeline, database: Path, *options, code: int = 0) -> str:
    into = database.parent / "out"
    arguments = ("--protocol", NAME, "--database", database, "--into", into, *options)
    return run(pipeline, *arguments, code=code)


def test_good_references_are_scored(exported, database):
    output = score(exported, database)
    assert re.search(r"DER [\d.]+% over 2 recordings", output)
    assert "no score" not in output


# in test.rttm or test.uem: what is written there instead, and the rule that is broken
SPOILT = {
    "space": ("rttm", " Ann ", " Ms Ann ", "names without spaces"),
    "many spaces": ("rttm", " Bob ", " Bob A B C ", "names without spaces"),
    "NA": ("rttm", " Ann ", " NA ", "a speaker as field 8"),
    "None": ("rttm", " Bob ", " None ", "a speaker as field 8"),
    "quotation mark": ("rttm", " Ann ", ' "Ann ', "no quotation mark"),
    "comma": ("rttm", " 0.500 ", " 0,500 ", "numbers, start and duration"),
    "region": ("uem", " 4.000", "", "4 fields"),
    "name of a recording": ("uem", "one ", "null ", "the name of a recording as first field"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_malformed_references_are_said_with_their_line_and_not_scored(exported, database, case):
    suffix, old, new, rule = SPOILT[case]
    edit(database.with_name(f"test.{suffix}"), old, new)
    line = 2 if old == " Bob " else 1
    with pytest.raises(ValueError, match=f"test.{suffix}', line {line}: .*{rule}"):
        check_references(load_protocol(database, NAME), "test")
    output = score(exported, database, code=1)
    assert "2 of 2 recordings have no score" in output
    assert re.search(rf"one and 1 more: '.*test.{suffix}', line {line}: .*{rule}", output)
    assert "DER" not in output
    # diarized all the same, as without references
    out = database.parent / "out"
    assert {path.name for path in out.glob("*.rttm")} == {"one.rttm", "two.rttm"}
    run(exported, database.with_name("one.wav"), "--into", database.parent / "alone")
    alone = (database.parent / "alone" / "one.rttm").read_text()
    assert (out / "one.rttm").read_text() == alone
    assert not (out / "scores.csv").exists()


def test_corrected_references_are_scored_without_diarizing_again(exported, database):
    edit(database.with_name("test.rttm"), " Ann ", " Ms Ann ")
    score(exported, database, code=1)
    edit(database.with_name("test.rttm"), " Ms Ann ", " Ann ")
    output = score(exported, database)
    assert output.count("already there") == 2
    assert "over 2 recordings" in output


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("rttm", "the reference of 'one' must have speaker turns in its annotated regions"),
        ("uem", "`annotated` must have regions of 'one', found none"),
    ],
)
def test_references_of_other_names_are_said_and_not_scored(exported, database, suffix, message):
    edit(database.with_name(f"test.{suffix}"), "one ", "One ")
    output = score(exported, database, code=1)
    assert (
        f"1 of 2 recordings have no score, and are excluded from error rates: one: {message}"
        in output
    )
    assert "over 1 recording (" in output
    assert (database.parent / "out" / "one.rttm").is_file()
    scores = (database.parent / "out" / "scores.csv").read_text()
    assert "\ntwo," in scores
    assert "\none," not in scores


def test_one_file_per_recording_is_wrong_for_that_recording_alone(exported, tmp_path):
    database = write_small_protocol(tmp_path / "data", test=("one", "two", "three"))
    edit(database, "test.rttm", '"{uri}.rttm"')
    database.with_name("one.rttm").write_text(rttm("one"))
    database.with_name("two.rttm").write_text(rttm("two", ("Ann", "NA")))
    output = score(exported, database, code=1)
    assert "2 of 3 recordings have no score" in output
    assert re.search(r"two: '.*two.rttm', line 2: it must have a speaker as field 8", output)
    assert 'three: Could not find file "three.rttm"' in output
    assert "over 1 recording (" in output
    assert len([*(tmp_path / "data" / "out").glob("*.rttm")]) == 3


def test_one_part_of_a_compound_is_wrong_for_that_part_alone(tmp_path):
    database = write_small_protocol(tmp_path / "data", development=("one",), test=("two",))
    edit(database.with_name("test.rttm"), " Ann ", " Ms Ann ")
    parts = f"{{test: {{{NAME}: [development, test]}}}}"
    edit(database, "Protocols:\n", f"Protocols:\n  X: {{SpeakerDiarization: {{All: {parts}}}}}\n")
    protocol = load_protocol(database, "X.SpeakerDiarization.All")
    one, two = list_recordings(protocol, "test")
    assert (one["uri"], two["uri"]) == ("one", "two")
    assert one["annotation"].labels() == ["Ann", "Bob"]
    assert "wrong_reference" not in one
    assert two.get("annotation") is None
    assert "test.rttm', line 1: it must have at most 10 fields" in two["wrong_reference"]
    for file in (one, two):
        assert Path(file["audio"]).is_file()
        assert file["annotated"].duration() == DURATION


def test_missing_reference_of_all_is_said_before_anything_is_diarized(exported, database):
    database.with_name("test.rttm").unlink()
    output = score(exported, database, code=1)
    assert "In the test set of Small" in output
    assert "test.rttm" in output
    assert not (database.parent / "out").exists()


def names_of(folder: Path, uri: str) -> tuple[list[str], set[str]]:
    """In RTTM, and in JSON"""
    content = json.loads((folder / f"{uri}.json").read_text())
    turns = content["diarization"] + content["exclusive_diarization"]
    return load_rttm(folder / f"{uri}.rttm")[uri].labels(), {turn["speaker"] for turn in turns}


@pytest.mark.parametrize("which", ["exported", "oracle"])
def test_speakers_are_anonymous(which, database, request):
    """pyannote.audio gives them the names of the reference"""
    pipeline = request.getfixturevalue(which)
    assert "DER" in score(pipeline, database)
    for uri in ("one", "two"):
        found, in_json = names_of(database.parent / "out", uri)
        assert found == [f"SPEAKER_{i:02d}" for i in range(len(found))]
        assert found
        assert in_json <= {*found}


def test_oracle_clustering_does_not_use_malformed_references(oracle, database):
    edit(database.with_name("test.rttm"), " Ann ", " Ms Ann ")
    output = score(oracle, database, code=1)
    assert "2 of 2 recordings failed" in output
    assert re.search("needs the speakers of a reference, '.*test.rttm', line 1", output)
    write_recording(database.with_name("three.wav"))
    into = database.parent / "alone"
    output = run(oracle, database.with_name("three.wav"), "--into", into, code=1)
    assert "must have references: OracleClustering needs the reference" in output


def test_turns_outside_of_annotated_regions_are_left_out_without_a_warning(
    exported, database, recwarn
):
    edit(database.with_name("test.uem"), " 0.000 4.000", " 0.000 3.000")
    database.with_name("test.uem").write_text("one 1 0.000 3.000\ntwo 1 0.000 4.050\n")
    assert "over 2 recordings" in score(exported, database)
    assert [str(one.message) for one in recwarn if "precomputed" in str(one.message)] == []
