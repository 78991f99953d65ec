"""Makes figures of the outages that `outage` recorded. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from loadtest.experiments.rows import figure
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval, mean
from loadtest.statistics.percents import mean_percent

NAME = "outage"


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return what succeeded during each outage, and what followed. The sample is the outage, not the call."""
    calls: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["kind"] == "call" and row["asked"]:
            calls[row["strategy"], row["service"], row["fault"], row["call"]].append(row)
    found = []
    order = list(config["strategies"])
    for (strategy, service, fault, call), outages in sorted(calls.items(), key=lambda item: order.index(item[0][0])):
        found += _figures(strategy, outages, service=service, fault=fault, call=call)
    endured = sorted((row for row in rows if row["kind"] == "endured"), key=lambda row: order.index(row["strategy"]))
    return [*found, *map(_endured, endured)]


def _figures(strategy: str, outages: Sequence[Row], **labels: str) -> list[Figure]:
    asked = sum(row["asked"] for row in outages)
    wrongly, tried = (sum(row.get(what, 0) for row in outages) for what in ("wrongly", "tried"))
    refused = sum(row["refused"] + row.get("refused_after", 0) for row in outages)
    shares = mean_percent([100 * row["succeeded"] / row["asked"] for row in outages])
    slowest = mean([1e6 * row["slowest_seconds"] for row in outages])
    found = [
        figure(NAME, strategy, "outage_success", "%", shares, **labels),
        figure(NAME, strategy, "outage_slowest", "us", slowest, **labels),
        Figure(NAME, strategy, "wrongly_accepted", "count", wrongly, n=tried, labels=labels),
        Figure(NAME, strategy, "wrongly_refused", "count", refused, n=asked, labels=labels),
    ]
    again = [row["recovered"] for row in outages if row.get("recovered") is not None]
    if len(again) == len(outages):
        found.append(figure(NAME, strategy, "outage_recovery", "s", _not_negative(mean(again)), **labels))
    return found


def _not_negative(found: Interval) -> Interval:
    return found if found.low is None else Interval(found.value, max(0.0, found.low), found.high, found.n)


def _endured(row: Row) -> Figure:
    """Return for how long tokens were accepted; `ended`: whether that came to an end while somebody watched."""
    labels = {"service": row["service"], "ended": str(row["ended"]).lower()}
    return Figure(NAME, row["strategy"], "endured", "s", row["seconds"], n=1, labels=labels)
