"""What is written in a TextGrid is what comes out"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import TURNS, shorten, textgrid

from pyannote_prune.data.corpora import Turn, read_textgrid
from pyannote_prune.data.references import read_rttm, rttm_line

STYLES = {"long": lambda grid: grid, "short": shorten}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom")
# of what is written, in seconds
PRECISION = 1e-7

times = st.integers(0, 10**7).map(lambda ticks: ticks / 10**4)
labels = st.text("abcN_SPK0123456789-\u4f60", min_size=1, max_size=8)


@st.composite
def conversations(draw) -> list[Turn]:
    """Turns of any duration, above zero: also overlapping ones of one speaker"""
    starts = st.tuples(times, st.integers(1, 10**6).map(lambda t: t / 10**4), labels)
    return [Turn(a, a + d, label) for a, d, label in draw(st.lists(starts, max_size=8))]


def write(path, grid, encoding):
    if encoding == "utf-16-le-bom":
        path.write_bytes(b"\xff\xfe" + grid.replace("\n", "\r\n").encode("utf-16-le"))
    else:
        path.write_text(grid, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("style", STYLES)
def test_all_formats_give_the_same_turns(tmp_path, style, encoding):
    path = write(tmp_path / "a.TextGrid", STYLES[style](textgrid(TURNS)), encoding)
    assert sorted(read_textgrid(path)) == [Turn(*turn) for turn in TURNS]


def test_slips_of_annotators_are_read_as_they_are(tmp_path):
    """Intervals that overlap, lack a duration, are out of order, or go on after the end"""
    turns = [(0.5, 1.5, "a"), (1.0, 2.0, "a"), (0.25, 0.25, "a"), (1.5, 9.0, "b")]
    path = write(tmp_path / "a.TextGrid", textgrid(turns, duration=2.0), "utf-8")
    assert sorted(read_textgrid(path)) == sorted(Turn(*turn) for turn in turns)


@given(conversations(), st.sampled_from(sorted(STYLES)), st.sampled_from(ENCODINGS), st.text())
def test_turns_survive_textgrid_and_rttm(tmp_path_factory, turns, style, encoding, text):
    folder = tmp_path_factory.getbasetemp()
    said = "x" + text.encode("utf-8", "ignore").decode()
    said = "".join(said.splitlines())
    grid = STYLES[style](textgrid(turns, duration=2000.0, text=said))
    read = sorted(read_textgrid(write(folder / "any.TextGrid", grid, encoding)))
    assert read == sorted(turns)
    (folder / "any.rttm").write_text("".join(rttm_line("uri", turn) for turn in read), "utf-8")
    for before, after in zip(read, read_rttm(folder / "any.rttm"), strict=True):
        assert after.speaker == before.speaker
        assert after[:2] == pytest.approx(before[:2], abs=2 * PRECISION)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02",
        b"\xff\xfe\x00",
        b'"ooTextFile"\n"Sound"\n0\n1\n',
        textgrid(TURNS).encode()[:-200],
        textgrid(TURNS).replace("size = 1", "size = 2").encode(),
        textgrid(TURNS).replace('"ding"', '"di"ng"').encode(),
    ],
    ids=["empty", "binary", "encoding", "sound", "truncated", "count", "quote"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.TextGrid").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"must be a TextGrid saved as text, found '.*a\.TextGrid'"
    ):
        read_textgrid(tmp_path / "a.TextGrid")
