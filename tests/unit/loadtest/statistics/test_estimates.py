"""Estimates of samples with known answers. tests/unit/loadtest/statistics/test_coverage.py tests their coverage."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from scipy import stats

from loadtest.statistics.estimates import (
    Interval,
    centre,
    difference,
    mean,
    percentile_intervals,
    proportion_interval,
    ratio,
)

SAMPLES = [7.0, 1.0, 2.0, 9.0, 3.0, 100.0, 4.0, 8.0, 5.0, 6.0]


def bounds(found: Interval) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_the_centre_is_the_mean_of_the_middle_three_fifths() -> None:
    found = centre(SAMPLES)
    assert found.value == pytest.approx(np.mean([3, 4, 5, 6, 7, 8]))
    assert found.n == 10


def test_the_interval_of_the_centre_is_yuens() -> None:
    """Yuen's test for two samples has the same error as the two intervals, added in squares."""
    low, high = bounds(centre(SAMPLES, confidence=0.9))
    error = (high - low) / 2 / stats.t.ppf(0.95, 5)
    shifted = [sample + 3 for sample in SAMPLES]
    yuen = stats.ttest_ind(shifted, SAMPLES, equal_var=False, trim=0.2)
    assert 3 / yuen.statistic == pytest.approx(math.sqrt(2) * error)


def test_the_interval_of_the_mean_is_students() -> None:
    expected = stats.ttest_1samp(SAMPLES, 0).confidence_interval(0.99)
    assert bounds(mean(SAMPLES, confidence=0.99)) == pytest.approx((expected.low, expected.high))
    assert mean(SAMPLES).value == pytest.approx(14.5)


def test_one_disturbed_sample_moves_the_mean_and_not_the_centre() -> None:
    worse = [1e6 if sample == 100 else sample for sample in SAMPLES]
    assert centre(worse) == centre(SAMPLES)
    assert mean(worse).value > 1000


@pytest.mark.parametrize("value", [0.0, 0.1, 123.456, -7.7])
@pytest.mark.parametrize("n", [2, 3, 7, 30])
def test_equal_samples_have_an_interval_without_width(value: float, n: int) -> None:
    assert centre([value] * n) == mean([value] * n) == Interval(value, value, value, n)


def test_mostly_equal_samples_are_not_treated_as_equal() -> None:
    """Shares of lost users are mostly 0: trimming would hide the kills that mattered, with a narrow interval."""
    samples = [0.0] * 8 + [30.0]
    found = centre(samples)
    assert found == mean(samples)
    assert bounds(found)[1] > 10


def test_one_sample_has_no_interval() -> None:
    for found in (centre([5.0]), mean([5.0]), difference([7.0], [2.0]), ratio([10.0], [2.0])):
        assert found.value == pytest.approx(5)
        assert (found.low, found.high, found.n) == (None, None, 1)
        assert not found.contains(5.0)


def test_more_confidence_gives_a_wider_interval() -> None:
    widths = [high - low for low, high in (bounds(centre(SAMPLES, confidence=c)) for c in (0.5, 0.95, 0.9986))]
    assert widths == sorted(widths)
    assert widths[2] > 1.5 * widths[1]


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_lies_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must be between 0 and 1"):
        centre(SAMPLES, confidence=confidence)


def test_differences_within_rounds_cancel_what_is_added_to_both() -> None:
    assert difference([13.0, 113.0, 23.0], [10.0, 110.0, 20.0]) == Interval(3.0, 3.0, 3.0, 3)


def test_ratios_within_rounds_cancel_what_multiplies_both() -> None:
    found = ratio([20, 200, 2000], [10, 100, 1000])
    assert (found.value, *bounds(found)) == pytest.approx((2, 2, 2))


def test_reversing_a_comparison_reverses_its_interval() -> None:
    ours, theirs = SAMPLES, SAMPLES[::-1]
    low, high = bounds(ratio(ours, theirs))
    assert bounds(ratio(theirs, ours)) == pytest.approx((1 / high, 1 / low))
    low, high = bounds(difference(ours, theirs))
    assert bounds(difference(theirs, ours)) == pytest.approx((-high, -low))


def test_a_ratio_of_two_rounds_that_disagree_has_no_interval_rather_than_an_infinite_one() -> None:
    found = ratio([1.0, 100.0], [10.0, 1.0], confidence=0.9986)
    assert found.value == pytest.approx(math.sqrt(10))
    assert (found.low, found.high, found.n) == (None, None, 2)


@pytest.mark.parametrize("estimate", [centre, mean, lambda samples: difference(samples, samples)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_must_be_finite(estimate: Callable[[Sequence[float]], Interval], bad: float) -> None:
    with pytest.raises(ValueError, match="samples must be finite"):
        estimate([1.0, bad, 2.0])


@pytest.mark.parametrize("estimate", [centre, mean, lambda samples: ratio(samples, samples)])
def test_without_samples_there_is_no_estimate(estimate: Callable[[Sequence[float]], Interval]) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        estimate([])


@pytest.mark.parametrize("compare", [difference, ratio])
def test_pairs_must_be_complete(compare: Callable[[Sequence[float], Sequence[float]], Interval]) -> None:
    with pytest.raises(ValueError, match="must be equally many, not 2 and 3"):
        compare([1, 2], [1, 2, 3])


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_ratio_needs_positive_samples_on_both_sides(bad: float) -> None:
    for sides in (([1.0, bad], [1.0, 1.0]), ([1.0, 1.0], [1.0, bad])):
        with pytest.raises(ValueError, match="a ratio needs positive samples"):
            ratio(*sides)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 20, 0.0, 0.1611), (20, 60, 0.2273, 0.4594), (60, 60, 0.9398, 1.0)]
)
def test_proportions_have_wilsons_interval(k: int, n: int, low: float, high: float) -> None:
    found = proportion_interval(k, n)
    assert found.value == k / n
    assert bounds(found) == pytest.approx((low, high), abs=5e-4)


def histogram(*values: int) -> HdrHistogram:
    made = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        made.record_value(value)
    return made


def test_percentiles_are_those_of_all_rounds_together() -> None:
    rounds = [histogram(*range(1, 51)), histogram(*range(51, 101))]
    median, highest = percentile_intervals(rounds, [50, 100], np.random.default_rng(7))
    assert (median.value, median.n) == (50, 100)
    assert highest.value == 100
    assert bounds(median) == (25, 75)  # all draws were the first round, or the second


def test_percentiles_of_one_round_have_no_interval() -> None:
    (found,) = percentile_intervals([histogram(1, 2, 3)], [99], np.random.default_rng(7))
    assert (found.value, found.low, found.high) == (3, None, None)
