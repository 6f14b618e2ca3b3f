"""Intervals hold what they promise, and pairing makes them narrow"""

import numpy as np
import pytest

from pyannote_prune.benchmark.accuracy.intervals import Errors, difference, interval

TRUTH = 0.2


def draw(rng, num_seeds: int, num_conversations: int, of_seeds: float, of_conversations: float):
    """Errors with effects of seeds, of conversations, and of both together"""
    speech = rng.uniform(20, 30, num_conversations)
    effects = (
        of_seeds * rng.standard_normal((num_seeds, 1))
        + of_conversations * rng.standard_normal(num_conversations)
        + 0.02 * rng.standard_normal((num_seeds, num_conversations))
    )
    return Errors((TRUTH + effects) * speech, speech)


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_value_is_a_ratio_of_sums_averaged_over_seeds(num_seeds):
    errors = draw(np.random.default_rng(0), num_seeds, 20, 0.05, 0.05)
    bound = interval(errors, num_rounds=200)
    expected = [row.sum() / errors.speech.sum() for row in errors.seconds]
    assert bound.value == pytest.approx(np.mean(expected))
    assert bound.low < bound.value < bound.high
    assert bound.num_seeds == num_seeds
    assert interval(errors, num_rounds=200) == bound


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_nothing_differs_from_itself(num_seeds):
    errors = draw(np.random.default_rng(0), num_seeds, 20, 0.05, 0.05)
    bound = difference(errors, errors, num_rounds=200)
    assert (bound.value, bound.low, bound.high) == (0, 0, 0)
    assert not bound.excludes_zero


@pytest.mark.parametrize(
    ("num_seeds", "num_conversations", "of_seeds", "of_conversations"),
    # mostly seeds, mostly conversations, both, one seed, few conversations
    [(3, 60, 0.03, 0.02), (3, 60, 0, 0.08), (3, 60, 0.01, 0.08), (1, 60, 0, 0.08), (3, 8, 0, 0.08)],
)
def test_95_of_100_intervals_hold_the_truth(
    num_seeds, num_conversations, of_seeds, of_conversations
):
    rng, num_trials = np.random.default_rng(1), 200
    found = 0
    for trial in range(num_trials):
        errors = draw(rng, num_seeds, num_conversations, of_seeds, of_conversations)
        bound = interval(errors, num_rounds=300, seed=trial)
        found += bound.low <= TRUTH <= bound.high
    # three standard deviations of a binomial are 5 %. Without Student's t, it is 76 % for the first
    assert found / num_trials >= 0.9


def test_differences_are_as_wide_as_what_differs():
    """What conversations have in common for both models does not count"""
    rng = np.random.default_rng(0)
    one = draw(rng, 3, 40, 0, 0.1)
    better = Errors(one.seconds - 0.01 * one.speech, one.speech)
    bound = difference(better, one)
    assert (bound.low, bound.high) == pytest.approx((-0.01, -0.01))
    assert bound.excludes_zero
    noisy = Errors(better.seconds + 0.1 * rng.standard_normal(one.seconds.shape), one.speech)
    paired, unpaired = difference(noisy, one), interval(noisy)
    assert paired.high - paired.low < 0.1 * (unpaired.high - unpaired.low)
    # in another order, the same conversations are others
    order = rng.permutation(40)
    mixed = Errors(noisy.seconds[:, order], noisy.speech[order])
    with pytest.raises(ValueError, match="errors on the same conversations"):
        difference(mixed, one)


def test_more_conversations_narrow_an_interval():
    rng = np.random.default_rng(0)
    few, many = (interval(draw(rng, 1, number, 0, 0.08)) for number in (20, 320))
    ratio = (few.high - few.low) / (many.high - many.low)
    assert 3 < ratio < 5.5  # four, and a bit for what few conversations say about their spread


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"found \(2, 3\) and \(4,\)"):
        Errors(np.ones((2, 3)), np.ones(4))
    with pytest.raises(ValueError, match="`speech` must be above 0"):
        Errors(np.ones((2, 3)), np.array([1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match=r"found \(1, 3\) and \(2, 3\)"):
        difference(Errors(np.ones((1, 3)), np.ones(3)), Errors(np.ones((2, 3)), np.ones(3)))
