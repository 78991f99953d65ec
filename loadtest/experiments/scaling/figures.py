"""Makes figures of what `scaling` recorded. Pure: rows in, figures out."""

from collections.abc import Sequence

from loadtest.experiments.cost.figures import costs, idle_cores
from loadtest.experiments.rows import figure, whole_rounds
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import centre, ratio
from loadtest.statistics.multiple import family_confidence

NAME = "scaling"
EVERYBODY = "the cluster"
"""Whose CPU a row has: that of all replicas, nginx and Redis together."""


def case(strategy: str, replicas: int) -> str:
    """Return the name of who takes turns."""
    return f"{strategy}, {replicas}"


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return what a request costs all tiers with 1 to N replicas, and as ratios to one replica.

    The ratios' intervals are simultaneous.
    """
    idle = idle_cores(rows)
    turns = whole_rounds([row for row in rows if row["kind"] == "turn"], key="case")
    if not turns:
        return []
    cpu = {name: [costs(one[name], idle)["total"] for one in turns] for name in turns[0]}
    strategies = dict.fromkeys(row["strategy"] for row in turns[0].values())
    numbers = sorted({row["replicas"] for row in turns[0].values()})
    together, found = family_confidence(max(1, len(strategies) * (len(numbers) - 1))), []
    for strategy in strategies:
        for number in numbers:
            samples, labels = cpu[case(strategy, number)], {"replicas": str(number)}
            found.append(figure(NAME, strategy, "scaling_cpu", "us", centre(samples), **labels))
            if number > numbers[0]:
                more = ratio(samples, cpu[case(strategy, numbers[0])], confidence=together)
                found.append(figure(NAME, strategy, "scaling_ratio", "ratio", more, over=str(numbers[0]), **labels))
    return found
