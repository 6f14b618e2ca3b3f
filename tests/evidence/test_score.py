"""Errors are those of pyannote.metrics, with their parts"""

import pytest
from helpers import tiny_model
from pyannote.audio.sample import SAMPLE_FILE

from pyannote_prune import export_pipeline
from pyannote_prune.evidence.score import error_rates, real_time_factors
from pyannote_prune.settings import ORACLE_SETTINGS


def test_error_rate_is_the_sum_of_its_parts(tmp_path):
    folder = export_pipeline(tiny_model(), tmp_path / "pipeline", settings=ORACLE_SETTINGS)
    rates = error_rates(folder, [SAMPLE_FILE])
    assert rates["der"] == pytest.approx(
        rates["missed"] + rates["false_alarm"] + rates["confusion"]
    )
    assert rates["der"] > 0
    # twice the same file, same rates
    assert error_rates(folder, [SAMPLE_FILE, SAMPLE_FILE]) == pytest.approx(rates)


def test_real_time_factors_are_measured_for_all_models():
    models = {"one": tiny_model(), "two": tiny_model()}
    found = real_time_factors(models, 1.0, num_rounds=3)
    assert list(found) == ["one", "two"]
    assert all(0 < factor < 10 for factor in found.values())
