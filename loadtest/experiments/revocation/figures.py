"""Makes figures of the endings that `revocation` recorded. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval, mean
from loadtest.statistics.percents import exact_share

NAME = "revocation"


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return whether logins ended everywhere, when they were last accepted, and how often. The sample is the ending.

    `life` is the life of access tokens in seconds, where it is not the one in the settings.
    """
    cases: dict[tuple[str, str, str], dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cases[row["strategy"], row["means"], row["life"]][row["round"]].append(row)
    found = []
    for (strategy, means, life), endings in cases.items():
        found += _figures(strategy, list(endings.values()), means=means, **({"life": life} if life else {}))
    return found


def _figures(strategy: str, endings: Sequence[Sequence[Row]], **labels: str) -> list[Figure]:
    """Return the figures of one way to end logins. Of an ending, the replica that accepted for longest counts."""
    held = [all(row["held"] for row in ending) for ending in endings]
    rows = [row for ending in endings for row in ending]
    accepted = Interval(sum(row["accepted"] for row in rows), None, None, sum(row["asked"] for row in rows))
    found = [
        figure(NAME, strategy, "revocation_held", "%", exact_share(sum(held), len(held)), **labels),
        figure(NAME, strategy, "accepted_after_end", "count", accepted, **labels),
    ]
    if all(held):
        last = mean([1000 * max(row["last_seconds"] for row in ending) for ending in endings])
        found.append(figure(NAME, strategy, "revocation_ms", "ms", _not_below_zero(last), **labels))
    else:
        watched = min(row["watched_seconds"] for row in rows)
        found.append(Figure(NAME, strategy, "watched", "s", watched, n=len(endings), labels=labels))
    return found


def _not_below_zero(found: Interval) -> Interval:
    return found if found.low is None else Interval(found.value, max(0.0, found.low), found.high, found.n)
