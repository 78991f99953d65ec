"""What this project promises about its own code: how much app CPU a request may cost, compared with something else.

Measured at a busy replica, bypassing nginx, with simultaneous intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.results.model import Figure, Verdict
from loadtest.results.numbers import amount, number, with_interval
from loadtest.results.view import View
from loadtest.verdicts.claims import NOT_MEASURED, Judged

KEPT, NOT_KEPT, UNDECIDED = "kept", "not kept", "undecided"
DIFFERENCE = "cpu_difference"


@dataclass(frozen=True)
class Promise:
    """*strategy* costs at most *limit* times what *over* does; if *metric* is a difference, at most *limit* µs more.

    *textbook*: the ratio of the usual implementation.
    """

    name: str
    strategy: str
    over: str
    limit: float
    textbook: str = ""
    metric: str = "cpu_ratio"
    labels: Mapping[str, str] = field(
        default_factory=lambda: {"path": "direct", "tier": "app", "intervals": "simultaneous"}
    )


PROMISES = (
    Promise("P1", "anonymous", "bare server", 1.35, metric="floor_ratio", labels={"path": "direct"}),
    Promise("P2", "memory", "anonymous", 1.25, "1.7 (stock middleware and cookie parsing)"),
    Promise("P3", "redis", "anonymous", 1.7, "4.1 (stock RedisStorage)"),
    Promise("P4", "redis-cached", "anonymous", 1.3),
    Promise("P5", "jwt-cached", "anonymous", 1.25, "3.1 (HS256 verified each time), 5.7 (EdDSA)"),
    Promise("P6", "jwt-denylist", "jwt", 3, metric=DIFFERENCE),
)


def promises(view: View) -> list[Judged]:
    """Return every promise with its verdict."""
    return [_judged(view, promise) for promise in PROMISES]


def _judged(view: View, promise: Promise) -> Judged:
    ours, theirs = view.named(promise.strategy), view.named(promise.over)
    if promise.metric == DIFFERENCE:
        text = f"{ours} costs at most {amount(promise.limit, 'us')} of app CPU more than {theirs}"
        found = view.difference(promise.strategy, promise.over, **promise.labels)
    else:
        text = f"{ours} costs at most {number(promise.limit)} times the app CPU of {theirs}"
        found = view.ratio(promise.metric, promise.strategy, promise.over, **promise.labels)
    if found is None:
        return Verdict(promise.name, text, "", NOT_MEASURED), False
    return Verdict(promise.name, text, with_interval(found), kept(found, promise.limit)), True


def kept(found: Figure, limit: float) -> str:
    """Return whether *found* is within *limit*. An interval that contains the limit, or none, decides nothing."""
    if found.ci_low is not None and found.ci_low > limit:
        return NOT_KEPT
    if found.ci_high is not None and found.ci_high < limit:
        return KEPT
    return UNDECIDED
