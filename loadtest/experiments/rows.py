"""What experiments make of their raw rows. Pure."""

from collections.abc import Iterable, Sequence

from loadtest.results.model import Figure, Row
from loadtest.statistics.estimates import Interval, centre


def figure(experiment: str, strategy: str, metric: str, unit: str, interval: Interval, **labels: str) -> Figure:
    """Return *interval* as a figure."""
    return Figure(experiment, strategy, metric, unit, interval.value, interval.low, interval.high, interval.n, labels)


def tier_seconds(row: Row) -> dict[str, float]:
    """Return the CPU seconds in *row* (`cpu_TIER`) by tier, and their sum as `total`."""
    tiers = {name.removeprefix("cpu_"): value for name, value in row.items() if name.startswith("cpu_")}
    return tiers | {"total": sum(tiers.values())}


def cost_figures(experiment: str, strategy: str, metric: str, rows: Sequence[Row], per: str) -> list[Figure]:
    """Return CPU microseconds by tier for one of what each row counts as *per*."""
    costs = [{tier: 1e6 * used / row[per] for tier, used in tier_seconds(row).items()} for row in rows]
    return [
        figure(experiment, strategy, metric, "us", centre([cost[tier] for cost in costs]), tier=tier)
        for tier in sorted(costs[0])
    ]


def whole_rounds(rows: Sequence[Row], order: Iterable[str] = (), key: str = "strategy") -> list[dict[str, Row]]:
    """Return, round by round, the rows by their *key*: only the rounds in which everybody had a turn.

    An interrupted run ends within a round, which would compare those who had their turn with other rounds. *order* (of
    names) is that of the answer, as far as it goes.
    """
    rounds: dict[int, dict[str, Row]] = {}
    for row in rows:
        rounds.setdefault(row["round"], {})[row[key]] = row
    seen = dict.fromkeys(row[key] for row in rows)
    everybody = list(dict.fromkeys([*(name for name in order if name in seen), *seen]))
    return [{name: one[name] for name in everybody} for one in rounds.values() if len(one) == len(everybody)]
