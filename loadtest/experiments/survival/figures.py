"""Makes figures of the kills that `survival` recorded. Pure."""

from collections.abc import Sequence

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval
from loadtest.statistics.percents import exact_percent, mean_percent

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
    found = [add("users_lost", "%", mean_percent(before), fault="none")]
    intact = [kill for kill in kills if kill["users"] > kill["lost_before"]]
    if intact:
        after = [100 * kill["lost_after"] / (kill["users"] - kill["lost_before"]) for kill in intact]
        lossy = exact_percent(sum(share > 0 for share in after), len(after))
        found.append(add("users_lost", "%", mean_percent(after), fault="kill -9"))
        found.append(add("kills_with_losses", "%", lossy, fault="kill -9"))
    errors, gets = (sum(kill[what] for kill in kills) for what in ("errors", "gets"))
    return [*found, add("http_5xx", "count", Interval(errors, None, None, gets), fault="kill -9")]
