"""Makes figures of what `affinity` recorded. Pure: rows in, figures out."""

from collections.abc import Sequence

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval
from loadtest.statistics.percents import exact_share

NAME = "affinity"
ADDED, REMOVED = "added", "removed"
NEAR = 0.8
"""A replica has its share when it has this part of its fair share."""


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return who moves, how even the load is, who comes to a new replica, and whether a client can choose."""
    return [found for row in rows for found in _of_method(row)]


def _of_method(row: Row) -> list[Figure]:
    strategy, replicas, users = row["strategy"], row["replicas"], row["users"]
    labels = {"method": row["method"]}

    def percent(metric: str, part: int, whole: int, **more: str) -> Figure:
        return figure(NAME, strategy, metric, "%", exact_share(part, whole), **labels, **more)

    imbalance = Interval(row["busiest"] * (replicas - 1) / users, None, None, users)
    found = [
        percent("users_moved", row["moved_in"], users, when=ADDED),
        percent("users_moved", row["moved_out"], users, when=REMOVED),
        percent("users_had_to_move", row["had_to_move"], users, when=REMOVED),
        percent("new_replica_share", row["returning_at_new"], users, of="returning users"),
        percent("new_replica_share", row["newcomers_at_new"], row["newcomers"], of="new users"),
        percent("replica_chosen", row["chosen"], row["tries"]),
        figure(NAME, strategy, "imbalance", "ratio", imbalance, **labels),
    ]
    if row["seconds_until_share"] is not None:
        seconds = Interval(row["seconds_until_share"], None, None, 1)
        found.append(figure(NAME, strategy, "seconds_until_share", "s", seconds, **labels))
    return found
