"""Two runs side by side: what changed beyond noise. Pure.

A change is real if the interval of B over A (or B minus A) lies wholly beyond what repeats of the same code differ by.
All intervals hold together, so that many comparisons find no change where there is none.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.results.model import Figure, Results
from loadtest.results.view import View
from loadtest.statistics.estimates import TRIMMED
from loadtest.statistics.multiple import family_confidence
from loadtest.verdicts import FORBID_COST

Word = Literal["same", "better", "worse"]


@dataclass(frozen=True)
class Kind:
    """Figures of *metric* with *labels* ("" for one that must not be there), and how two of them are compared.

    *relative*: B over A, else B minus A. *margin*: by how much repeats of the same code may differ beyond the intervals
    within each of them. *within_run*: it says something of its own run only, such as a ratio, so that the machine
    matters little. *up_is_worse*: a larger value is worse.
    """

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    margin: float = 0.10
    relative: bool = True
    within_run: bool = False
    up_is_worse: bool = True


RATIO_MARGIN = 0.04  # ratios of ten quick runs lie within ±4 % of their median
KINDS = (
    Kind("cpu_ratio", {"path": "nginx", "tier": "total", "intervals": ""}, RATIO_MARGIN, within_run=True),
    Kind("cpu_ratio", {"path": "direct", "tier": "app", "intervals": ""}, RATIO_MARGIN, within_run=True),
    Kind("floor_ratio", {"path": "direct"}, RATIO_MARGIN, within_run=True),
    Kind("users_lost", {"fault": "kill -9"}, margin=5.0, relative=False, within_run=True),
    Kind("cpu_per_request", {"path": "nginx", "tier": "total"}),
    Kind("cpu_per_request", {"path": "direct", "tier": "app"}),
    Kind("cores_per_1000", {"tier": "total"}),
    Kind("latency", {"percentile": "p50"}, margin=0.25),
    Kind("latency", {"percentile": "p99"}, margin=0.5),
    Kind("throughput", up_is_worse=False),
    Kind("cpu_per_login", {"tier": "total"}),
    Kind("cpu_per_refresh", {"tier": "total"}),
    Kind("cpu_per_introspection", {"tier": "total"}),
    Kind("verify_page_cpu"),
)
HOST = ("cpu", "cores", "memory_gb", "kernel", "architecture", "python", "python_build")


@dataclass(frozen=True)
class Change:
    """One figure of two runs. *change* is B over A if *relative*, else B minus A; *low* and *high* are its interval."""

    strategy: str
    metric: str
    labels: dict[str, str]
    unit: str
    a: float
    b: float
    relative: bool
    change: float
    low: float
    high: float
    word: Word


@dataclass(frozen=True)
class Difference:
    """What two runs differ in. *obstacles*: why some figures, or all, are not compared. *notes*: other differences."""

    obstacles: list[str]
    notes: list[str]
    confidence: float
    changes: list[Change]

    @property
    def worse(self) -> bool:
        """Return whether anything is worse."""
        return any(change.word == "worse" for change in self.changes)


def differences(a: Results, b: Results) -> Difference:
    """Compare *b* with *a*. Absolute figures are left out if the machine or the engine is another one."""
    conditions, machines = list(_conditions(a, b)), list(_machines(a, b))
    pairs = [] if conditions else [pair for pair in _pairs(a, b) if pair[0].within_run or not machines]
    confidence = family_confidence(max(1, len(pairs)))
    changes = [_change(kind, one, other, confidence) for kind, one, other in pairs]
    return Difference(conditions + machines, list(_notes(a, b)), confidence, changes)


def _conditions(a: Results, b: Results) -> Iterator[str]:
    """Yield what makes the two runs answers to different questions, or no answers."""
    for name, run in (("A", a), ("B", b)):
        failed = sorted({warning["rule"] for warning in run.warnings} & set(FORBID_COST))
        if failed:
            yield f"{name} withdrew its verdicts ({', '.join(failed)})"
    for what, ours, theirs in (
        ("plan", a.config["plan"], b.config["plan"]),
        ("settings", _settings(a), _settings(b)),
    ):
        yield from (
            f"{what}: {name} is {ours.get(name)} in A and {theirs.get(name)} in B"
            for name in sorted(ours | theirs)
            if ours.get(name) != theirs.get(name)
        )
    if a.config["replicas"] != b.config["replicas"]:
        yield f"replicas: {a.config['replicas']} in A and {b.config['replicas']} in B"


def _settings(run: Results) -> dict[str, str]:
    """Return the settings that decide what is measured. Ports do not: each run finds free ones."""
    return {name: value for name, value in run.config["settings"].items() if "PORT" not in name}


def _machines(a: Results, b: Results) -> Iterator[str]:
    """Yield what makes absolute figures incomparable."""
    for name in HOST:
        if a.host.get(name) != b.host.get(name):
            yield f"another machine: {name} is {a.host.get(name)} in A and {b.host.get(name)} in B"
    if a.config["engine"] != b.config["engine"]:
        yield f"another engine: {a.config['engine']} in A and {b.config['engine']} in B"


def _notes(a: Results, b: Results) -> Iterator[str]:
    """Yield what else a reader should know: it may be the reason for a change."""
    for name, run in (("A", a), ("B", b)):
        if not run.complete:
            yield f"{name} is incomplete: {run.ended_by}"
    if a.git_revision != b.git_revision:
        yield f"code: {a.git_revision} in A, {b.git_revision} in B"
    for name in sorted(a.binaries | b.binaries):
        if a.binaries.get(name) != b.binaries.get(name):
            yield f"{name}: {a.binaries.get(name)} in A, {b.binaries.get(name)} in B"
    ours, theirs = set(a.config["strategies"]), set(b.config["strategies"])
    yield from (f"only in A: {name}" for name in sorted(ours - theirs))
    yield from (f"only in B: {name}" for name in sorted(theirs - ours))


def _pairs(a: Results, b: Results) -> Iterator[tuple[Kind, Figure, Figure]]:
    """Yield the figures that both have, with intervals. Ratios are those over the control or the bare server."""
    ours, theirs = View(a), View(b)
    for kind in KINDS:
        found = {_key(figure): figure for figure in theirs.figures(kind.metric, **kind.labels)}
        for one in ours.figures(kind.metric, **kind.labels):
            other = found.get(_key(one))
            beside = kind.metric != "cpu_ratio" or one.labels.get("over") == ours.control
            if beside and other and _known(kind, one) and _known(kind, other):
                yield kind, one, other


def _key(figure: Figure) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return what tells a figure from others of its metric; *rate* follows from each run's own capacity."""
    return figure.strategy, frozenset((k, v) for k, v in figure.labels.items() if k != "rate")


def _known(kind: Kind, figure: Figure) -> bool:
    """Return whether the figure has an interval that its scale can take."""
    ends = (figure.ci_low, figure.value, figure.ci_high)
    return all(end is not None and (end > 0 or not kind.relative) for end in ends)


def _change(kind: Kind, one: Figure, other: Figure, confidence: float) -> Change:
    """Compare two estimates by the errors that their intervals tell (Welch)."""
    (ours, error), (theirs, their_error) = (_estimate(kind, figure) for figure in (one, other))
    both = math.hypot(error, their_error)
    freedom = float(_freedom(one))
    if both > 0:
        freedom = both**4 / (error**4 / _freedom(one) + their_error**4 / _freedom(other))
    half = both * float(scipy.stats.t.ppf((1 + confidence) / 2, freedom))
    middle, margin = theirs - ours, math.log1p(kind.margin) if kind.relative else kind.margin
    word: Word = "same"
    if middle - half > margin or middle + half < -margin:
        word = "worse" if (middle > 0) == kind.up_is_worse else "better"
    change, low, high = (math.exp(x) if kind.relative else x for x in (middle, middle - half, middle + half))
    facts = (one.strategy, one.metric, one.labels, one.unit, one.value, other.value, kind.relative)
    return Change(*facts, change, low, high, word)


def _estimate(kind: Kind, figure: Figure) -> tuple[float, float]:
    """Return the figure's value and standard error, of the logarithm if it is compared by a ratio."""
    scale = math.log if kind.relative else float
    low, value, high = (scale(end) for end in (figure.ci_low or 0.0, figure.value, figure.ci_high or 0.0))
    return value, (high - low) / 2 / float(scipy.stats.t.ppf(0.975, _freedom(figure)))


def _freedom(figure: Figure) -> int:
    """Return the degrees of freedom of a trimmed mean (Yuen)."""
    return max(1, figure.n - 2 * int(TRIMMED * figure.n) - 1)
