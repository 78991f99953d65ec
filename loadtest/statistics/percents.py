"""Percentages of few samples, with intervals that stay within 0 to 100."""

from collections.abc import Sequence
from dataclasses import replace

import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.statistics.estimates import Interval, mean


def mean_percent(percents: Sequence[float]) -> Interval:
    """Return the mean of percentages, one per sample (such as a kill), with Student's interval within 0 to 100.

    Samples that are all alike say nothing of how samples differ. Then the interval is what the exact one for "the next
    one is like these" allows: after three kills without a loss, a mean loss of up to 71 %.
    """
    found = mean(percents)
    if found.low is None or found.high is None:
        return found
    if found.low == found.high:
        alike = float(scipy.stats.binomtest(found.n, found.n).proportion_ci(method="exact").low)
        return replace(found, low=alike * found.value, high=alike * found.value + 100 * (1 - alike))
    return replace(found, low=max(0.0, found.low), high=min(100.0, found.high))


def exact_share(part: int, whole: int, per: float = 100) -> Interval:
    """Return *part* of *whole*, by default in percent, with the exact interval (Clopper and Pearson 1934)."""
    bounds = scipy.stats.binomtest(part, whole).proportion_ci(method="exact")
    return Interval(per * part / whole, per * float(bounds.low), per * float(bounds.high), whole)
