"""Confidence intervals of error rates, and of their differences, by a paired bootstrap

Errors of one test set vary with its conversations, which all models share, and with the seed of the
model. Each resampled experiment draws conversations with replacement, the same ones for all seeds
and for both models of a difference, and seeds with replacement.

Three seeds, resampled as they are, vary too little: the variance of their resampled mean is two
thirds of what it should be, and is a guess from three values. Deviations of seeds are hence
multiplied by sqrt(n / (n - 1)), and intervals by the quotient of the quantiles of Student's t and
of the normal distribution. Degrees of freedom are those of Welch and Satterthwaite: near n - 1
where seeds matter most (a factor of 2.2 for three), near the number of conversations where
conversations do (a factor of 1).

References
----------
Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007 (two crossed factors).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

# share of the true values that intervals are meant to hold
LEVEL = 0.95
QUANTILES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

NUM_ROUNDS = 4000


@dataclass(frozen=True)
class Errors:
    """Errors of models that differ in their seed, on the same conversations

    Parameters
    ----------
    seconds : (num_seeds, num_conversations) np.ndarray
        Duration of errors.
    speech : (num_conversations,) np.ndarray
        Duration of speech, with overlaps counted for each of their speakers.

    Raises
    ------
    ValueError
        If shapes do not fit, or if there is no speech.
    """

    seconds: np.ndarray
    speech: np.ndarray

    def __post_init__(self) -> None:
        if self.seconds.ndim != 2 or self.seconds.shape[1:] != self.speech.shape:
            raise ValueError(
                "`seconds` must be (num_seeds, num_conversations) and `speech` "
                f"(num_conversations,), found {self.seconds.shape} and {self.speech.shape}."
            )
        if not self.seconds.size or not (self.speech > 0).all():
            raise ValueError("`speech` must be above 0 in all conversations, and not be empty.")

    @property
    def num_seeds(self) -> int:
        return len(self.seconds)

    def rates(self, counts: np.ndarray | None = None) -> np.ndarray:
        """Error rate of each seed: sum of errors over sum of speech

        Parameters
        ----------
        counts : (num_rounds, num_conversations) np.ndarray, optional
            How often each conversation counts. Defaults to once, in a single round.

        Returns
        -------
        rates : (num_seeds, num_rounds) np.ndarray
        """
        weights = np.ones((1, len(self.speech))) if counts is None else counts
        return (self.seconds @ weights.T) / (weights @ self.speech)


@dataclass(frozen=True)
class Interval:
    """Value with its confidence interval

    Parameters
    ----------
    value, low, high : float
    num_seeds : int
        Number of seeds. Those of a single seed hold for that seed: only conversations vary.
    """

    value: float
    low: float
    high: float
    num_seeds: int

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def interval(errors: Errors, num_rounds: int = NUM_ROUNDS, seed: int = 0) -> Interval:
    """Bound an error rate, averaged over seeds

    Parameters
    ----------
    errors : Errors
    num_rounds : int, optional
        Number of resampled experiments.
    seed : int, optional
        Seed of these experiments.
    """
    counts = _draw(len(errors.speech), num_rounds, np.random.default_rng(seed))
    return _bound(errors.rates(), errors.rates(counts), len(errors.speech), seed)


def difference(
    first: Errors, second: Errors, num_rounds: int = NUM_ROUNDS, seed: int = 0
) -> Interval:
    """Bound the difference of two error rates: first minus second

    Parameters
    ----------
    first, second : Errors
        Errors on the same conversations in the same order, with the same seeds in the same order.
    num_rounds, seed : int, optional
        See `interval`.

    Raises
    ------
    ValueError
        If conversations, or numbers of seeds, are not the same.
    """
    if first.seconds.shape != second.seconds.shape or not np.allclose(first.speech, second.speech):
        raise ValueError(
            "`first` and `second` must be errors on the same conversations with the same seeds, "
            f"found {first.seconds.shape} and {second.seconds.shape} (seeds, conversations), "
            f"{first.speech.sum():.1f} and {second.speech.sum():.1f} s of speech."
        )
    counts = _draw(len(first.speech), num_rounds, np.random.default_rng(seed))
    exact, drawn = first.rates() - second.rates(), first.rates(counts) - second.rates(counts)
    return _bound(exact, drawn, len(first.speech), seed)


def _draw(size: int, num_rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `size` things out of as many, with replacement: how often each of them was drawn

    Returns
    -------
    counts : (num_rounds, size) np.ndarray
    """
    return rng.multinomial(size, np.full(size, 1 / size), size=num_rounds)


def _bound(exact: np.ndarray, drawn: np.ndarray, num_conversations: int, seed: int) -> Interval:
    """Draw seeds, and take quantiles

    Parameters
    ----------
    exact : (num_seeds, 1) np.ndarray
        Values of all conversations.
    drawn : (num_seeds, num_rounds) np.ndarray
        Values of drawn conversations.
    num_conversations : int
    seed : int
    """
    num_seeds, num_rounds = drawn.shape
    value, means = exact.mean(), drawn.mean(0)
    # of the mean over seeds, from the two sources
    variances, freedom = [means.var()], [num_conversations - 1]
    if num_seeds > 1:
        # other draws than those of conversations
        counts = _draw(num_seeds, num_rounds, np.random.default_rng([seed, num_seeds]))
        deviations = (counts.T * drawn).sum(0) / num_seeds - means
        means = means + np.sqrt(num_seeds / (num_seeds - 1)) * deviations
        variances.append(exact.var(ddof=1) / num_seeds)
        freedom.append(num_seeds - 1)
    low, high = value + _widening(variances, freedom) * (np.quantile(means, QUANTILES) - value)
    return Interval(float(value), float(low), float(high), num_seeds)


def _widening(variances: list[float], freedom: list[int]) -> float:
    """Factor of an interval whose variance is a sum of guesses, with degrees of freedom each"""
    total = sum(variances)
    # also one conversation, which says nothing about others
    guess = sum(v**2 / f for v, f in zip(variances, freedom, strict=True) if f)
    if guess <= np.finfo(float).tiny:
        return 1.0
    return float(stdtrit(total**2 / guess, QUANTILES[1]) / ndtri(QUANTILES[1]))
