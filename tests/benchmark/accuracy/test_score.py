"""Errors are those of pyannote.metrics, with their parts"""

import pytest
from helpers import tiny_model
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import Segment, Timeline

from pyannote_prune import export_pipeline
from pyannote_prune.benchmark.accuracy.score import error_rates, real_time_factors
from pyannote_prune.benchmark.speed.measure import Measure
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS


def test_error_rate_is_the_sum_of_its_parts(tmp_path):
    folder = export_pipeline(tiny_model(), tmp_path / "pipeline", settings=ORACLE_SETTINGS)
    rates = error_rates(folder, [SAMPLE_FILE])
    assert rates["der"] == pytest.approx(
        rates["missed"] + rates["false_alarm"] + rates["confusion"]
    )
    assert rates["der"] > 0
    (one,) = rates["recordings"].values()
    for name, seconds in one["errors"].items():
        assert seconds / one["speech"] == pytest.approx(rates[name])
    # of two conversations, sums over sums
    other = {**SAMPLE_FILE, "uri": "other", "annotated": Timeline([Segment(0, 10)])}
    both = error_rates(folder, [SAMPLE_FILE, other])
    found = both["recordings"].values()
    errors, speech = (
        sum(sum(one["errors"].values()) for one in found),
        sum(one["speech"] for one in found),
    )
    assert both["der"] == pytest.approx(errors / speech)
    assert len({round(one["speech"], 3) for one in found}) == 2


def test_real_time_factor_is_time_over_duration(monkeypatch):
    """Of one window through each model"""
    models, outputs = {"one": tiny_model(), "two": tiny_model()}, {}

    def take_turns(functions, num_rounds):
        assert num_rounds == 3
        outputs.update({name: function() for name, function in functions.items()})
        return {"one": Measure(0.5, 0.4, 0.6), "two": Measure(3.0, 2.0, 4.0)}

    monkeypatch.setattr("pyannote_prune.benchmark.accuracy.score.take_turns", take_turns)
    assert real_time_factors(models, 2.0, num_rounds=3) == {"one": 0.25, "two": 1.5}
    assert [output.shape for output in outputs.values()] == [(1, 99, 7)] * 2
    assert (outputs["one"] != outputs["two"]).any()
