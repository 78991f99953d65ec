"""What this project promises of its own code: how much app CPU a request may cost, as a ratio to something else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.report.numbers import number, with_interval
from loadtest.report.view import View
from loadtest.results import Figure

KEPT, NOT_KEPT, NOT_DECIDABLE, NOT_MEASURED = "kept", "not kept", "not decidable", "not measured"


@dataclass(frozen=True)
class Promise:
    """*strategy* costs at most *limit* times what *over* does. *textbook*: that ratio of the usual way to do it."""

    strategy: str
    over: str
    limit: float
    textbook: str = ""
    metric: str = "cpu_ratio"
    labels: Mapping[str, str] = field(default_factory=lambda: {"tier": "app"})


PROMISES = (
    Promise("anonymous", "bare server", 1.35, metric="floor_ratio", labels={}),
    Promise("memory", "anonymous", 1.25, "1.7 (stock middleware and cookie parsing)"),
    Promise("redis", "anonymous", 1.7, "4.1 (stock RedisStorage)"),
    Promise("redis-cached", "anonymous", 1.3),
    Promise("jwt-cached", "anonymous", 1.25, "3.1 (HS256 verified each time), 5.7 (EdDSA)"),
    Promise("jwt-denylist", "jwt", 1.03),
)


@dataclass(frozen=True)
class Kept:
    """One row of the table: a promise and what this run says of it."""

    promise: str
    limit: str
    measured: str
    verdict: str
    textbook: str


def kept(view: View) -> list[Kept]:
    """Return every promise with its verdict."""
    return [_kept(view, promise) for promise in PROMISES]


def _kept(view: View, promise: Promise) -> Kept:
    ratio = view.ratio(promise.metric, promise.strategy, promise.over, **promise.labels)
    measured, said = (with_interval(ratio), verdict(ratio, promise.limit)) if ratio else ("", NOT_MEASURED)
    return Kept(
        f"{promise.strategy} over {promise.over}", f"at most {number(promise.limit)}", measured, said, promise.textbook
    )


def verdict(ratio: Figure, limit: float) -> str:
    """Return whether *ratio* is within *limit*. An interval that contains the limit, or none, decides nothing."""
    if ratio.ci_low is not None and ratio.ci_low > limit:
        return NOT_KEPT
    if ratio.ci_high is not None and ratio.ci_high < limit:
        return KEPT
    return NOT_DECIDABLE
