"""Which of two strategies costs less? All tiers, through nginx; with the intervals that hold for all pairs together."""

from enum import Enum, auto

from loadtest.results.view import View

JUDGED = {"path": "nginx", "tier": "total"}
"""The labels of the figures that rankings rest on."""
TOGETHER = {"intervals": "simultaneous"}


class Relation(Enum):
    """How one strategy's cost compares with another's."""

    LESS = auto()
    MORE = auto()
    ALIKE = auto()
    """The interval contains 1: this run cannot tell them apart."""
    UNKNOWN = auto()
    """The two were not compared."""


def relation(view: View, one: str, other: str) -> Relation:
    """Compare the costs of *one* and *other*. An interval that contains 1 decides nothing."""
    ratio = view.ratio("cpu_ratio", one, other, **JUDGED, **TOGETHER)
    if ratio is None or ratio.ci_low is None or ratio.ci_high is None:
        return Relation.UNKNOWN
    if ratio.ci_low <= 1 <= ratio.ci_high:
        return Relation.ALIKE
    return Relation.LESS if ratio.value < 1 else Relation.MORE
