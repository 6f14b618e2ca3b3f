"""Scores are those of readable references, and are not lost"""

import pandas as pd
import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from pyannote_prune.pipeline.apply import Applied
from pyannote_prune.pipeline.scores import add_score, write_scores


def turns(uri: str, *durations: float) -> Annotation:
    annotation = Annotation(uri=uri)
    for i, duration in enumerate(durations):
        annotation[Segment(10 * i, 10 * i + duration), i] = f"speaker{i}"
    return annotation


def applied(uri: str, reference: Annotation | None, **more) -> Applied:
    """8 s are found, of one speaker"""
    regions = Timeline([Segment(0, 100)])
    recording = {"uri": uri, "annotation": reference, "annotated": regions, **more}
    return Applied(recording, turns(uri, 8.0))


def test_errors_are_counted():
    metric = DiarizationErrorRate()
    assert add_score(metric, applied("a", turns("a", 10.0))) is None
    assert abs(metric) == pytest.approx(0.2)


def test_without_reference_there_is_no_score_and_nothing_is_wrong():
    metric = DiarizationErrorRate()
    assert add_score(metric, applied("a", None)) is None
    assert not metric.results_


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (applied("a", turns("a")), "reference of 'a' must have speaker turns in its annotated"),
        (applied("a", turns("a", 9.0), wrong_reference="x.rttm, line 3"), "x.rttm, line 3"),
        (applied("a", Timeline()), "`annotation` must be a file with speaker turns, such as RTTM"),
    ],
)
def test_what_is_wrong_is_said_and_does_not_count(recording, message):
    metric = DiarizationErrorRate()
    assert message in add_score(metric, recording)
    assert not metric.results_


def write(folder, **durations: float) -> list[str]:
    metric = DiarizationErrorRate()
    for uri, duration in durations.items():
        assert add_score(metric, applied(uri, turns(uri, duration))) is None
    return write_scores(metric, folder)


def read(path) -> dict[str, float]:
    """Error rates, in percent"""
    table = pd.read_csv(path, index_col=0, header=[0, 1])
    return {uri: row["diarization error rate", "%"] for uri, row in table.iterrows()}


def test_scores_of_more_recordings_take_the_place_of_fewer(tmp_path):
    write(tmp_path, a=10.0)
    lines = write(tmp_path, a=10.0, b=16.0)
    assert lines == [
        f"DER 38.46% over 2 recordings (no collar, overlaps included): {tmp_path / 'scores.csv'}"
    ]
    assert read(tmp_path / "scores.csv") == pytest.approx(
        {"a": 20.0, "b": 50.0, "TOTAL": 100 * 10 / 26}
    )
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_former_scores_that_differ_are_kept(tmp_path):
    write(tmp_path, a=10.0)
    first = (tmp_path / "scores.csv").read_text()
    lines = write(tmp_path, a=16.0)
    assert lines[1] == (
        f"Former scores, of other references or recordings: {tmp_path / 'scores-1.csv'}"
    )
    assert (tmp_path / "scores-1.csv").read_text() == first
    assert read(tmp_path / "scores.csv")["a"] == pytest.approx(50.0)
    write(tmp_path, b=16.0)
    assert read(tmp_path / "scores-2.csv")["a"] == pytest.approx(50.0)
    assert "a" not in read(tmp_path / "scores.csv")


def test_scores_that_are_not_any_more_are_not_those_of_the_folder(tmp_path):
    write(tmp_path, a=10.0)
    (line,) = write(tmp_path)
    assert line.endswith("scores-1.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["scores-1.csv"]
