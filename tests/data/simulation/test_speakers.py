"""No speaker is in two subsets if there are enough, and no recording ever is"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyannote_prune.data.simulation.speakers import assign, select_speakers
from pyannote_prune.data.simulation.voices import Excerpt
from pyannote_prune.data.subsets import SUBSETS


def voices(number: int, num_recordings: int = 3) -> dict[str, list[Excerpt]]:
    return {
        f"speaker{i}": [Excerpt(Path(f"speaker{i}", f"{j}.wav")) for j in range(num_recordings)]
        for i in range(number)
    }


some_subsets = st.sets(st.sampled_from(SUBSETS), min_size=1)


@settings(deadline=None, max_examples=300)
@given(
    number=st.integers(1, 60),
    max_speakers=st.integers(1, 6),
    subsets=some_subsets,
    num_named=st.integers(0, 8),
    num_recordings=st.integers(1, 5),
    speakers=st.sampled_from([None, "apart", "shared"]),
)
def test_speakers_are_apart_if_there_are_enough(
    number, max_speakers, subsets, num_named, num_recordings, speakers
):
    found = voices(number, num_recordings)
    named = list(found)[:num_named]
    others = len(found) - len(named)
    asked = len(subsets - {"test"} if named else subsets)
    is_enough = others >= asked * max_speakers
    is_impossible = (
        ("test" in subsets and named and len(named) < max_speakers)
        or (asked and others < max_speakers)
        or (speakers == "apart" and not is_enough)
        or ((speakers == "shared" or not is_enough) and num_recordings < 3 and others)
    )
    if is_impossible:
        with pytest.raises(ValueError, match="found"):
            assign(found, max_speakers, subsets, speakers, named)
        return
    it = assign(found, max_speakers, subsets, speakers, named)
    assert it.speakers == (
        "apart" if not others or (is_enough and speakers != "shared") else "shared"
    )
    assert all(len(it.subsets[subset]) >= max_speakers for subset in subsets)
    recordings = [(name, r) for part in it.subsets.values() for name in part for r in part[name]]
    assert len(set(recordings)) == len(recordings)
    assert all(r in found[name] for name, r in recordings)
    if named:
        assert set(it.subsets["test"]) == set(named)
        assert not any(set(named) & set(it.subsets.get(subset, ())) for subset in SUBSETS[:2])
    if it.speakers == "apart":
        names = [name for part in it.subsets.values() for name in part]
        assert len(set(names)) == len(names)
        # all recordings of all speakers, whatever subset has them
        if asked:
            assert len(recordings) == number * num_recordings
    assert it.description.startswith(f"Speakers {it.speakers}")


@given(number=st.integers(9, 80), one=some_subsets, other=some_subsets)
def test_speakers_keep_their_subset_whatever_is_simulated(number, one, other):
    found = voices(number, 1)
    assert assign(found, 3, one) == assign(dict(reversed(found.items())), 3, other)


def test_shares_are_a_fifth_and_a_tenth():
    numbers = {
        subset: len(part) for subset, part in assign(voices(200), 3, SUBSETS).subsets.items()
    }
    assert numbers == {"train": 140, "development": 20, "test": 40}


@pytest.mark.parametrize(
    ("number", "options", "message"),
    [
        (
            6,
            {"speakers": "apart"},
            "`speakers` can be 'apart' with 9 speakers at least, 3 .*found 6",
        ),
        (2, {}, "`max_speakers` must be at most the number of speakers of `voices`, found 3 and 2"),
        (20, {"test_speakers": ["speaker1"]}, "`test_speakers` must be `max_speakers` .* found 1"),
        (20, {"test_speakers": ["speaker1x"]}, "found 'speaker1x' .did you mean 'speaker1"),
        (
            5,
            {"test_speakers": ["speaker0", "speaker1", "speaker2"]},
            "number of speakers of `voices` besides `test_speakers`, found 3 and 2",
        ),
    ],
)
def test_too_few_speakers_are_told_with_the_way_out(number, options, message):
    with pytest.raises(ValueError, match=message):
        assign(voices(number), 3, SUBSETS, **options)


def test_single_recordings_of_few_speakers_are_told_how_many_more_it_takes():
    message = "must have 3 recordings at least.* keep subsets apart: that takes 9 speakers, 3 for"
    with pytest.raises(ValueError, match=message):
        assign(voices(8, 1), 3, SUBSETS)


def test_description_says_who_shares():
    shared = assign(voices(6), 3, SUBSETS).description
    assert shared == (
        "Speakers shared by train, development and test, in different recordings (apart takes 9 "
        "speakers, 3 for each, found 6): 6 train, 6 development, 6 test"
    )
    named = assign(voices(8), 3, SUBSETS, None, ["speaker0", "speaker1", "speaker2"]).description
    assert "shared by train and development, in" in named
    assert "apart takes 6 speakers besides `test_speakers`, 3 for each, found 5" in named
    assert "(as asked)" in assign(voices(9), 3, SUBSETS, "shared").description


def test_speakers_are_selected_by_name_pattern_and_file(tmp_path):
    found = {"Ann_Lee": [], "test-1": [], "test-2": [], "bob": []}
    (tmp_path / "list.txt").write_text("\ufeffbob\n\nAnn Lee\n", encoding="utf-8")
    assert select_speakers([], found) == ()
    assert select_speakers(["test-*", "bob"], found) == ("bob", "test-1", "test-2")
    assert select_speakers([str(tmp_path / "list.txt")], found) == ("Ann_Lee", "bob")
    with pytest.raises(
        ValueError, match="`test_speakers` must be speakers .* found 'bobb' .did you"
    ):
        select_speakers(["bobb"], found)
    (tmp_path / "list.txt").write_text("bob\nbill\n")
    with pytest.raises(ValueError, match="list.txt, line 2: .*found 'bill'"):
        select_speakers([str(tmp_path / "list.txt")], found)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="empty.txt'"):
        select_speakers([str(tmp_path / "empty.txt")], found)
    (tmp_path / "latin.txt").write_bytes(b"Jos\xe9\n")
    with pytest.raises(ValueError, match="latin.txt' must be text in UTF-8"):
        select_speakers([str(tmp_path / "latin.txt")], found)
