"""Statistics against answers that are known."""

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from loadtest.intervals import mean_interval, percentile_intervals, proportion_interval, ratio_interval


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def histogram(*values: int) -> HdrHistogram:
    made = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        made.record_value(value)
    return made


def test_the_mean_lies_within_its_interval_and_the_interval_near_the_textbook_s() -> None:
    samples = np.random.default_rng(1).normal(100, 10, 200)
    found = mean_interval(list(samples), rng())
    assert found.value == pytest.approx(samples.mean())
    assert found.n == 200
    half = 1.96 * samples.std(ddof=1) / np.sqrt(200)
    assert found.low == pytest.approx(samples.mean() - half, abs=0.3)
    assert found.high == pytest.approx(samples.mean() + half, abs=0.3)


def test_equal_samples_have_an_interval_without_width() -> None:
    found = mean_interval([5.0] * 6, rng())
    assert (found.value, found.low, found.high) == (5.0, 5.0, 5.0)


def test_one_sample_has_no_interval() -> None:
    found = mean_interval([5.0], rng())
    assert (found.value, found.low, found.high, found.n) == (5.0, None, None, 1)
    assert not found.contains(5.0)


def test_two_samples_and_outliers_still_give_finite_bounds() -> None:
    for samples in ([1.0, 2.0], [1.0] * 7 + [100.0], [0.0, 0.0, 0.0, 1.0]):
        found = mean_interval(samples, rng())
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    assert mean_interval([1, 2, 4, 8], rng()) == mean_interval([1, 2, 4, 8], rng())


def test_ratios_are_taken_within_rounds_so_that_a_slow_round_cancels() -> None:
    found = ratio_interval([20, 200, 2000], [10, 100, 1000], rng())
    assert found.value == pytest.approx(2)
    assert found.low == pytest.approx(2)
    assert found.high == pytest.approx(2)


def test_the_mean_ratio_is_geometric_so_that_its_inverse_is_the_inverse_s_mean() -> None:
    there = ratio_interval([1, 4, 9], [2, 3, 5], rng())
    back = ratio_interval([2, 3, 5], [1, 4, 9], rng())
    assert there.value * back.value == pytest.approx(1)


def test_a_strategy_compared_with_itself_contains_one() -> None:
    noise = np.random.default_rng(3).normal(50, 2, (2, 12))
    assert ratio_interval(list(noise[0]), list(noise[1]), rng()).contains(1)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 20, 0.0, 0.1611), (20, 60, 0.2273, 0.4594), (60, 60, 0.9398, 1.0)]
)
def test_proportions_have_wilson_s_interval(k: int, n: int, low: float, high: float) -> None:
    found = proportion_interval(k, n)
    assert found.value == k / n
    assert found.low == pytest.approx(low, abs=5e-4)
    assert found.high == pytest.approx(high, abs=5e-4)


def test_percentiles_are_those_of_all_rounds_together() -> None:
    rounds = [histogram(*range(1, 51)), histogram(*range(51, 101))]
    median, highest = percentile_intervals(rounds, [50, 100], rng())
    assert (median.value, median.n) == (50, 100)
    assert highest.value == 100
    assert median.low == 25  # both draws were the first round
    assert median.high == 75


def test_percentiles_of_one_round_have_no_interval() -> None:
    (found,) = percentile_intervals([histogram(1, 2, 3)], [99], rng())
    assert (found.value, found.low, found.high) == (3, None, None)
