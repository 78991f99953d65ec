"""Makes figures of the kills that `survival` recorded. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval, mean

NAME = "survival"


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return what kills did. The sample is the kill: users of one kill share its fate."""
    found = [Figure(NAME, "expected", "expected_users_lost", "%", 100 / config["replicas"])] if rows else []
    cases: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        cases.setdefault((row["strategy"], row["affinity"]), []).append(row)
    for (strategy, affinity), kills in cases.items():
        found += _figures(strategy, kills, affinity=str(affinity).lower())
    return found


def _figures(strategy: str, kills: Sequence[Row], **labels: str) -> list[Figure]:
    def add(metric: str, unit: str, interval: Interval, **more: str) -> Figure:
        return figure(NAME, strategy, metric, unit, interval, **labels, **more)

    before = [100 * kill["lost_before"] / kill["users"] for kill in kills]
    found = [add("users_lost", "%", mean_of_kills(before), fault="none")]
    intact = [kill for kill in kills if kill["users"] > kill["lost_before"]]
    if intact:
        after = [100 * kill["lost_after"] / (kill["users"] - kill["lost_before"]) for kill in intact]
        lossy = exact_percent(sum(share > 0 for share in after), len(after))
        found.append(add("users_lost", "%", mean_of_kills(after), fault="kill -9"))
        found.append(add("kills_with_losses", "%", lossy, fault="kill -9"))
    errors, gets = (sum(kill[what] for kill in kills) for what in ("errors", "gets"))
    return [*found, add("http_5xx", "count", Interval(errors, None, None, gets), fault="kill -9")]


def mean_of_kills(percents: Sequence[float]) -> Interval:
    """Return the mean of percentages, one per kill, with Student's interval within 0 to 100.

    Kills that all ended alike say nothing of how kills differ. Then the interval is what the exact one for "the next
    kill ends like these" allows: after three kills without a loss, a mean loss of up to 71 %.
    """
    found = mean(percents)
    if found.low is None or found.high is None:
        return found
    if found.low == found.high:
        alike = float(scipy.stats.binomtest(found.n, found.n).proportion_ci(method="exact").low)
        return replace(found, low=alike * found.value, high=alike * found.value + 100 * (1 - alike))
    return replace(found, low=max(0.0, found.low), high=min(100.0, found.high))


def exact_percent(part: int, whole: int) -> Interval:
    """Return *part* of *whole* in percent, with the exact interval (Clopper and Pearson)."""
    found = scipy.stats.binomtest(part, whole).proportion_ci(method="exact")
    return Interval(100 * part / whole, 100 * float(found.low), 100 * float(found.high), whole)
