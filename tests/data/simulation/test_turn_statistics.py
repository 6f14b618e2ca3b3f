"""Turns, pauses and overlaps are those of the annotation"""

import pytest
from helpers import SHARED
from pyannote.core import Annotation, Segment
from pyannote.database import registry

from pyannote_prune.data.simulation import TurnStatistics


def conversation(*turns) -> dict:
    annotation = Annotation()
    for i, (speaker, start, end) in enumerate(turns):
        annotation[Segment(start, end), i] = speaker
    return {"annotation": annotation}


def test_transitions_are_measured():
    found = TurnStatistics.measure(
        [
            conversation(
                ("A", 0.0, 2.0),
                ("B", 1.5, 4.0),  # overlaps for 0.5 s
                ("A", 4.25, 5.0),  # after a pause
                ("A", 6.0, 8.0),  # the same one again
                ("B", 6.5, 7.0),  # within the turn of A, who still ends last
                ("A", 9.0, 9.5),
                ("C", 20.0, 21.0),  # too late to be part of the conversation
            ),
            conversation(("D", 0.0, 1.0)),
        ]
    )
    assert found.turns == (0.5, 0.5, 0.75, 1.0, 1.0, 2.0, 2.0, 2.5)
    assert found.same_speaker_pauses == (1.0, 1.0)
    assert found.change_pauses == (0.25,)
    assert found.overlaps == (0.5, 0.5)
    assert found.overlap_probability == 0.5
    assert found.change_probability == pytest.approx(4 / 6, abs=0.001)


def test_default_is_measured_on_real_meetings():
    database = SHARED / "data" / "ami-excerpts" / "database.yml"
    default = TurnStatistics.default()
    if database.is_file():
        registry.load_database(database)
        protocol = registry.get_protocol("AMIExcerpts.SpeakerDiarization.Mini")
        assert default == TurnStatistics.measure(protocol.train())
    else:  # what was measured then
        assert (len(default.turns), default.overlap_probability) == (76, 0.719)


def test_saved_and_loaded_is_the_same(tmp_path):
    statistics = TurnStatistics.default().limited(4.0)
    assert statistics != TurnStatistics.default()
    assert max(statistics.turns + statistics.overlaps) <= 4.0
    statistics.save(tmp_path / "statistics.yml")
    assert TurnStatistics.load(tmp_path / "statistics.yml") == statistics


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="found 1 turns and 0 changes of speaker"):
        TurnStatistics.measure([conversation(("A", 0.0, 1.0))])
    # everything overlaps, and nobody ever pauses
    with pytest.raises(ValueError, match="`same_speaker_pauses` must not be empty"):
        TurnStatistics((1.0,), (), (), (0.5,), 1.0, 0.9)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("turns", (1.0, 0.0), "`turns` must be positive durations"),
        ("overlap_probability", 1.5, r"`overlap_probability` must be in \[0, 1\], found 1.5"),
        ("change_pauses", (), "`change_pauses` must not be empty"),
    ],
)
def test_impossible_values_are_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        TurnStatistics.from_dict(TurnStatistics.default().to_dict() | {name: value})


@pytest.mark.parametrize("plain", [None, {}, {"turns": [1.0]}, [1, 2]])
def test_incomplete_statistics_are_refused(plain):
    with pytest.raises(ValueError, match="Statistics must have change_pauses, "):
        TurnStatistics.from_dict(plain)
