"""Estimates with confidence intervals; 95 % unless said otherwise.

A sample is a turn, a round or a kill, never a request: the requests of one turn share its disturbances (ADR 18).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

Rng = np.random.Generator
TRIMMED = 0.2
"""The share of the samples that is cut off at each end before the mean is taken."""


@dataclass(frozen=True)
class Interval:
    """An estimate, its confidence interval (None: one sample tells nothing about it) and the number of samples."""

    value: float
    low: float | None
    high: float | None
    n: int

    def contains(self, value: float) -> bool:
        """Return whether *value* lies within; an unknown interval contains nothing."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def centre(samples: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return the 20 % trimmed mean, which ignores disturbed samples, with Yuen's interval.

    Raise ValueError if there are no samples or if one is not finite.
    """
    return _trimmed_mean(_checked(samples), TRIMMED, confidence)


def mean(samples: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return the mean with Student's interval: for losses, of which the rare bad ones are what matters."""
    return _trimmed_mean(_checked(samples), 0, confidence)


def difference(ours: Sequence[float], theirs: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return how much more *ours* is than *theirs*; `ours[i]` and `theirs[i]` are neighbours in one round.

    Noise that is added to both cancels. Raise ValueError if they are not equally many.
    """
    return centre([one - other for one, other in _pairs(ours, theirs)], confidence=confidence)


def ratio(ours: Sequence[float], theirs: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return *ours* over *theirs*, paired like a difference; swapping the two gives the inverse.

    Noise that multiplies both cancels. Raise ValueError unless all samples are positive.
    """
    pairs = _pairs(ours, theirs)
    if any(one <= 0 or other <= 0 for one, other in pairs):
        raise ValueError("a ratio needs positive samples")
    logs = centre([math.log(one / other) for one, other in pairs], confidence=confidence)
    value = math.exp(logs.value)
    if logs.low is None or logs.high is None:
        return Interval(value, None, None, logs.n)
    try:
        return Interval(value, math.exp(logs.low), math.exp(logs.high), logs.n)
    except OverflowError:  # two or three samples that disagree: the interval says nothing
        return Interval(value, None, None, logs.n)


def _checked(samples: Sequence[float]) -> list[float]:
    data = [float(sample) for sample in samples]
    if not data:
        raise ValueError("an estimate needs at least one sample")
    if not all(map(math.isfinite, data)):
        raise ValueError("samples must be finite")
    return data


def _pairs(ours: Sequence[float], theirs: Sequence[float]) -> list[tuple[float, float]]:
    if len(ours) != len(theirs):
        raise ValueError(f"paired samples must be equally many, not {len(ours)} and {len(theirs)}")
    return list(zip(_checked(ours), _checked(theirs), strict=True))


def _trimmed_mean(samples: list[float], share: float, confidence: float) -> Interval:
    """Return the mean without the lowest and highest *share*, with the interval of Yuen (1974); share 0: Student's.

    If what is left after trimming is all equal although the samples are not, nothing is trimmed.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    ordered, n, cut = sorted(samples), len(samples), int(share * len(samples))
    if ordered[cut] == ordered[-1 - cut]:
        cut = 0
    middle = ordered[n // 2]
    deviations = [sample - middle for sample in ordered]  # so that equal samples give exactly their value
    kept = deviations[cut : n - cut]
    value = middle + math.fsum(kept) / len(kept)
    if n == 1:
        return Interval(value, None, None, n)
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    about = math.fsum(winsorized) / n
    squares = math.fsum((deviation - about) ** 2 for deviation in winsorized)
    error = math.sqrt(squares / (len(kept) * (len(kept) - 1)))
    half = error * float(scipy.special.stdtrit(len(kept) - 1, (1 + confidence) / 2))
    return Interval(value, value - half, value + half, n)


def proportion_interval(successes: int, n: int) -> Interval:
    """Return a proportion with Wilson's score interval."""
    ci = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
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
    """Return the distinct values, and how often each came in each round (rows). All histograms have the same range."""
    first = rounds[0]
    counts = np.array([np.ctypeslib.as_array(h.counts) for h in rounds], dtype=np.int64)
    recorded = np.flatnonzero(counts.any(axis=0))
    values = [first.get_highest_equivalent_value(first.get_value_from_index(int(index))) for index in recorded]
    return np.array(values, dtype=float), counts[:, recorded]


def _percentile(values: NDArray[np.float64], merged: NDArray[np.int64], percentile: float) -> Interval:
    """*merged*: cumulative counts; the first row is the estimate, the others are resamples."""
    totals = merged[:, -1:]
    reached = merged >= np.ceil(totals * percentile / 100)
    found = values[reached.argmax(axis=1)]
    low, high = np.percentile(found[1:], [2.5, 97.5])
    return Interval(float(found[0]), float(low), float(high), int(totals[0, 0]))
