"""Measures count what they say"""

import time

import pytest
import torch

from pyannote_prune.benchmark.speed.measure import (
    Measure,
    matrix_peak,
    peak_memory,
    summarize,
    take_turns,
)


def test_functions_take_turns_and_the_first_round_does_not_count():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in ("one", "two")}
    measures = take_turns(functions, num_rounds=3)
    assert calls == ["one", "two"] * 4
    assert all(0 <= m.lowest <= m.seconds <= m.highest < 1 for m in measures.values())


def test_what_takes_longer_is_measured_longer():
    functions = {"nap": lambda: time.sleep(0.05), "nothing": lambda: None}
    measures = take_turns(functions, num_rounds=3)
    assert measures["nap"].seconds >= 0.05 > measures["nothing"].seconds


def test_median_and_quartiles():
    measure = summarize([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (measure.lowest, measure.seconds, measure.highest) == (2.0, 3.0, 4.0)
    assert summarize([2.0]).lowest == summarize([2.0]).highest == 2.0


def test_memory_at_its_peak():
    def allocate():
        kept = torch.ones(100_000_000 // 4)
        time.sleep(0.05)
        return kept.sum()

    for _ in range(2):
        # also when it was allocated, and freed, before
        assert peak_memory(allocate) == pytest.approx(100e6, rel=0.2)
    assert peak_memory(lambda: None) < 20e6


def test_peak_is_that_of_a_product_of_matrices(monkeypatch):
    products = []

    def take_turns(functions, num_rounds, device):
        (function,) = functions.values()
        products.append(function())
        return {"product": Measure(0.5, 0.4, 0.6)}

    monkeypatch.setattr("pyannote_prune.benchmark.speed.measure.SIDE", 64)
    monkeypatch.setattr("pyannote_prune.benchmark.speed.measure.take_turns", take_turns)
    assert matrix_peak(torch.bfloat16) == 2 * 64**3
    assert (products[0].shape, products[0].dtype) == ((64, 64), torch.bfloat16)
