"""What pyannote.database would misread in silence, or without saying where"""

import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.database.util import load_rttm, load_uem

from pyannote_prune.data.references import NO_VALUE, check_list, check_rttm, check_uem, name_rule

TURN = "SPEAKER rec 1 0.5 1.25 <NA> <NA> Ann <NA> <NA>"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reference.txt"


@pytest.mark.parametrize(
    "text",
    [
        TURN,
        f"{TURN}\r\n{TURN}\r\n",
        TURN.replace(" ", "\t"),
        f"\n{TURN}\n\n",
        TURN.removesuffix(" <NA>"),
        TURN.replace("1.25", "0"),
        TURN.replace("Ann", "Zoé"),
        f"SPKR-INFO rec 1 <NA> <NA> <NA> unknown Ann <NA>\n{TURN}",
        "",
    ],
)
def test_good_turns_are_accepted(path, text):
    path.write_text(text, encoding="utf-8")
    check_rttm(path)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (TURN.replace("Ann", "Ann Lee"), "at most 10 fields, hence names without spaces"),
        (TURN.replace("Ann", "NA"), "a speaker as field 8"),
        (TURN.replace("Ann", '"Ann'), "no quotation mark"),
        (TURN.replace("rec", "null"), "the name of a recording as second field"),
        (TURN.replace("SPEAKER", "speaker"), "a type of RTTM, such as SPEAKER"),
        (TURN.replace("1.25", "-1.25"), "a duration that is not negative"),
        (TURN.replace("1.25", "1,25"), "numbers, start and duration in seconds"),
        (TURN.replace("0.5", "nan"), "numbers, start and duration in seconds"),
        (TURN.replace(" 1 ", "\u00a01 "), "ordinary spaces"),
        ("SPEAKER rec 1 0.5", "a speaker as field 8"),
        (";; comment", "a type of RTTM"),
    ],
)
def test_wrong_turn_is_refused_with_its_line(path, line, rule):
    path.write_text(f"{TURN}\n{line}\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=rf"reference.txt', line 2: .*{re.escape(rule)}.*, found '"
    ):
        check_rttm(path)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("rec 1 0", "4 fields"),
        ("a rec 1 0 30", "4 fields"),
        ("NA 1 0 30", "the name of a recording as first field"),
        ("rec 1 0 end", "numbers, start and end in seconds"),
        ("rec 1 30 0", "an end that is after it"),
        ("rec 1 -1 30", "a positive start"),
    ],
)
def test_wrong_region_is_refused_with_its_line(path, line, rule):
    path.write_text(f"rec NA 0.0 30.0\n{line}\n")
    with pytest.raises(ValueError, match=f"reference.txt', line 2: .*{rule}"):
        check_uem(path)


@pytest.mark.parametrize("line", ["", "two words", "\ufeffrec"])
def test_wrong_name_is_refused_with_its_line(path, line):
    path.write_text(f"rec\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="reference.txt', line 2: it must have"):
        check_list(path)


def test_other_encodings_are_refused(path):
    path.write_bytes("Zoé\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"reference.txt' must be text in UTF-8 .*: convert it"):
        check_list(path)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "without spaces"),
        ("Ann Lee", "without spaces"),
        ("Ann\tLee", "without spaces"),
        ('"Ann', "without quotation marks"),
        ("Ann\u200b", "printable characters"),
        ("Ann\x1b", "printable characters"),
        *((name, "no value") for name in sorted(NO_VALUE)),
    ],
)
def test_names_that_are_misread_break_a_rule(path, name, rule):
    assert rule in name_rule(name)
    # as speakers, they are refused in a reference
    path.write_text(TURN.replace("Ann", name), encoding="utf-8")
    with pytest.raises(ValueError, match="line 1"):
        check_rttm(path)


@pytest.mark.parametrize("name", ["Ann", "Zoé", "'", "#", "001", "na", "NAN", "None_", "\u5f20"])
def test_other_names_break_none(path, name):
    assert name_rule(name) is None
    path.write_text(TURN.replace("Ann", name), encoding="utf-8")
    check_rttm(path)
    assert load_rttm(path)["rec"].labels() == [name]


# spaces around a name are not part of it
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: name.isprintable() and name == name.strip()
)
TIMES = st.floats(-1, 100).map(str) | st.sampled_from(
    ["1e2", ".5", "5.", "+1", "1e999", "0x1", "1_0"]
)


# older pandas are wrong by the last digit
almost = partial(pytest.approx, rel=1e-12, abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(NAMES, TIMES, TIMES, NAMES)
def test_what_is_accepted_is_read_as_it_is_written(tmp_path_factory, uri, start, duration, speaker):
    path = tmp_path_factory.getbasetemp() / "turn.rttm"
    path.write_bytes(f"SPEAKER {uri} 1 {start} {duration} <NA> <NA> {speaker} <NA> <NA>".encode())
    try:
        check_rttm(path)
    except ValueError:
        return
    ((found, annotation),) = load_rttm(path).items()
    assert found == uri
    for segment, _, label in annotation.itertracks(yield_label=True):
        assert (almost(segment.start), label) == (float(start), speaker)
        assert almost(segment.end) == float(start) + float(duration)


@settings(max_examples=300, deadline=None)
@given(NAMES, TIMES, TIMES)
def test_regions_that_are_accepted_are_read_as_they_are_written(tmp_path_factory, uri, start, end):
    path = tmp_path_factory.getbasetemp() / "region.uem"
    path.write_bytes(f"{uri} 1 {start} {end}".encode())
    try:
        check_uem(path)
    except ValueError:
        return
    if float(end) - float(start) < 1e-5:
        return  # pyannote.core has no such region
    ((found, (region,)),) = load_uem(path).items()
    assert (found, almost(region.start), almost(region.end)) == (uri, float(start), float(end))
