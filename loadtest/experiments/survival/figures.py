"""Makes figures of the faults that `survival` recorded. Pure."""

from collections.abc import Sequence

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval
from loadtest.statistics.percents import exact_share, mean_percent

NAME = "survival"
KILL, STOP, ROLLING, SCALE_IN, SCALE_OUT, RELOAD = (
    "kill -9", "graceful stop", "rolling restart", "scale in", "scale out", "reload",
)  # fmt: skip
FAULTS = (KILL, STOP, ROLLING, SCALE_IN, SCALE_OUT, RELOAD)
ONE_OF_ALL = (KILL, STOP, SCALE_IN)
"""Faults that end one replica."""


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return what faults did. The sample is the fault: users who live through one share its fate."""
    found = [_expected(fault, config["replicas"]) for fault in FAULTS if any(row["fault"] == fault for row in rows)]
    cases: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        cases.setdefault((row["strategy"], row["affinity"]), []).append(row)
    for (strategy, affinity), mine in cases.items():
        found += _figures(strategy, mine, affinity=str(affinity).lower())
    return found


def _expected(fault: str, replicas: int) -> Figure:
    """Return whom a login that one of the replicas keeps predicts to be lost, behind affinity."""
    percent = 100 / replicas if fault in ONE_OF_ALL else 100.0 if fault == ROLLING else 0.0
    return Figure(NAME, "expected", "expected_users_lost", "%", percent, labels={"fault": fault})


def _figures(strategy: str, rows: Sequence[Row], **labels: str) -> list[Figure]:
    before = [100 * row["lost_before"] / row["users"] for row in rows if row["fault"] == KILL and row["users"]]
    found = [figure(NAME, strategy, "users_lost", "%", mean_percent(before), fault="none", **labels)] if before else []
    for fault in FAULTS:
        mine = [row for row in rows if row["fault"] == fault and row["users"] > row["lost_before"]]
        if mine:
            found += _of_fault(strategy, mine, fault=fault, **labels)
    return found


def _of_fault(strategy: str, rows: Sequence[Row], **labels: str) -> list[Figure]:
    """Return the figures of one kind of fault."""

    def add(metric: str, unit: str, interval: Interval) -> Figure:
        return figure(NAME, strategy, metric, unit, interval, **labels)

    def shares(what: str) -> list[float]:
        return [100 * row[what] / (row["users"] - row["lost_before"]) for row in rows]

    def count(what: str, of: str) -> Interval:
        return Interval(sum(row[what] for row in rows), None, None, sum(row[of] for row in rows))

    lost = shares("lost_after")
    found = [add("users_lost", "%", mean_percent(lost))]
    if labels["fault"] == KILL:
        found.append(add("kills_with_losses", "%", exact_share(sum(share > 0 for share in lost), len(lost))))
    return [
        *found,
        add("users_with_lost_state", "%", mean_percent(shares("state_lost"))),
        add("mixed_up_users", "count", count("mixed_up", "users")),
        add("http_5xx", "count", count("errors", "gets")),
        add("failed_visits", "count", count("post_errors", "posts")),
    ]
