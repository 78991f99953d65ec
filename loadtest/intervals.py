"""Estimates with 95 % confidence intervals. Pure: samples and a source of randomness in, numbers out.

The sample is always a round, never a request: requests of one block share its weather.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray
from scipy import stats

Rng = np.random.Generator
RESAMPLES = 4999


@dataclass(frozen=True)
class Interval:
    """An estimate, its 95 % confidence interval (None: one sample tells nothing about it) and the number of samples."""

    value: float
    low: float | None
    high: float | None
    n: int

    def contains(self, value: float) -> bool:
        """Return whether *value* lies within; an interval that is not known contains nothing."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def mean_interval(samples: Sequence[float], rng: Rng) -> Interval:
    """Return the mean over rounds, with a bootstrap interval (BCa; percentile where BCa is undefined)."""
    data = np.asarray(samples, dtype=float)
    mean = float(data.mean())
    if len(data) < 2:
        return Interval(mean, None, None, len(data))
    if np.allclose(data, data[0], rtol=1e-12, atol=0):
        return Interval(mean, mean, mean, len(data))
    low, high = _bootstrap(data, rng)
    return Interval(mean, low, high, len(data))


def _bootstrap(data: NDArray[np.float64], rng: Rng) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        for method in ("BCa", "percentile"):
            result = stats.bootstrap((data,), np.mean, n_resamples=RESAMPLES, method=method, rng=rng)
            low, high = result.confidence_interval
            if np.isfinite(low) and np.isfinite(high):
                return float(low), float(high)
    raise ValueError("samples must be finite")


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float], rng: Rng) -> Interval:
    """Return the geometric mean of the ratios within rounds: *numerators[i]* and *denominators[i]* are one round."""
    ratios = np.asarray(numerators, dtype=float) / np.asarray(denominators, dtype=float)
    logs = mean_interval(list(np.log(ratios)), rng)
    low, high = (None if bound is None else float(np.exp(bound)) for bound in (logs.low, logs.high))
    return Interval(float(np.exp(logs.value)), low, high, logs.n)


def proportion_interval(successes: int, n: int) -> Interval:
    """Return a proportion with Wilson's score interval."""
    ci = stats.binomtest(successes, n).proportion_ci(method="wilson")
    return Interval(successes / n, float(ci.low), float(ci.high), n)


def percentile_intervals(rounds: Sequence[HdrHistogram], percentiles: Sequence[float], rng: Rng) -> list[Interval]:
    """Return percentiles of all rounds together; the intervals come from resampling rounds and merging each resample.

    `n` is the number of values, all rounds together.
    """
    values, counts = _table(rounds)
    weights = rng.multinomial(len(rounds), [1 / len(rounds)] * len(rounds), size=999)
    merged = np.cumsum(np.vstack([counts.sum(axis=0), weights @ counts]), axis=1)
    found = [_percentile(values, merged, percentile) for percentile in percentiles]
    return found if len(rounds) > 1 else [Interval(one.value, None, None, one.n) for one in found]


def _table(rounds: Sequence[HdrHistogram]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct values, and how often each came in each round (rows)."""
    seen = [{i.value_iterated_to: i.count_added_in_this_iter_step for i in h.get_recorded_iterator()} for h in rounds]
    values = sorted(set().union(*seen))
    return np.array(values, dtype=float), np.array([[one.get(v, 0) for v in values] for one in seen], dtype=np.int64)


def _percentile(values: NDArray[np.float64], merged: NDArray[np.int64], percentile: float) -> Interval:
    """*merged*: cumulative counts; the first row is the estimate, the others are resamples."""
    totals = merged[:, -1:]
    reached = merged >= np.ceil(totals * percentile / 100)
    found = values[reached.argmax(axis=1)]
    low, high = np.percentile(found[1:], [2.5, 97.5])
    return Interval(float(found[0]), float(low), float(high), int(totals[0, 0]))
