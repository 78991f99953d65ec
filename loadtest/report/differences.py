"""Two runs side by side: what changed beyond noise. Pure.

A change is real if the interval of B over A (or B minus A) lies wholly beyond what repeats of the same code differ by.
The intervals hold simultaneously, so that many comparisons do not turn noise into a change.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.results.model import Figure, Results
from loadtest.results.view import View
from loadtest.statistics.estimates import TRIMMED
from loadtest.statistics.multiple import family_confidence
from loadtest.verdicts import FORBID_COST

Word = Literal["same", "better", "worse"]


RATIO_MARGIN = 0.04
"""By how much ratios of the same code differ: those of ten quick runs lie within ±4 % of their median."""


@dataclass(frozen=True)
class Compared:
    """Figures of *metric* with *labels* ("" for one that must not be there), and how those of two runs are compared.

    *words*: what a reader calls them; labels are filled in. *relative*: B over A, else B minus A. *margin*: by how much
    repeats of the same code may differ beyond the intervals within each of them. *within_run*: it says something of its
    own run only, such as a ratio, so that the machine matters little. *up_is_worse*: a larger value is worse.
    *headline*: it is shown even if it has not changed.
    """

    metric: str
    words: str
    labels: Mapping[str, str] = field(default_factory=dict)
    margin: float = 0.10
    relative: bool = True
    within_run: bool = False
    up_is_worse: bool = True
    headline: bool = False


HOST = ("cpu", "cores", "memory_gb", "kernel", "architecture", "python", "python_build")


@dataclass(frozen=True)
class Change:
    """One figure of two runs. *change* is B over A if *relative*, else B minus A; *low* and *high* are its interval."""

    what: str
    headline: bool
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


def differences(a: Results, b: Results, compared: Iterable[Compared]) -> Difference:
    """Compare the figures *compared* of *b* with those of *a*.

    Absolute figures are left out if the machine or the engine is another one.
    """
    conditions, machines = list(_conditions(a, b)), list(_machines(a, b))
    pairs = [] if conditions else [pair for pair in _pairs(a, b, compared) if pair[0].within_run or not machines]
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


def _pairs(a: Results, b: Results, compared: Iterable[Compared]) -> Iterator[tuple[Compared, Figure, Figure]]:
    """Yield the figures that both have, with intervals. Ratios are those over the control or the bare server."""
    ours, theirs = View(a), View(b)
    for kind in compared:
        found = {_key(figure): figure for figure in theirs.figures(kind.metric, **kind.labels)}
        for one in ours.figures(kind.metric, **kind.labels):
            other = found.get(_key(one))
            beside = kind.metric != "cpu_ratio" or one.labels.get("over") == ours.control
            if beside and other and _known(kind, one) and _known(kind, other):
                yield kind, one, other


def _key(figure: Figure) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return what tells a figure from others of its metric; *rate* follows from each run's own capacity."""
    return figure.strategy, frozenset((k, v) for k, v in figure.labels.items() if k != "rate")


def _known(kind: Compared, figure: Figure) -> bool:
    """Return whether the figure has an interval that its scale can take."""
    ends = (figure.ci_low, figure.value, figure.ci_high)
    return all(end is not None and (end > 0 or not kind.relative) for end in ends)


def _change(kind: Compared, one: Figure, other: Figure, confidence: float) -> Change:
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
    what = kind.words.format_map(defaultdict(str, one.labels))
    facts = (what, kind.headline, one.strategy, one.metric, one.labels, one.unit, one.value, other.value, kind.relative)
    return Change(*facts, change, low, high, word)


def _estimate(kind: Compared, figure: Figure) -> tuple[float, float]:
    """Return the figure's value and standard error, of the logarithm if it is compared by a ratio."""
    scale = math.log if kind.relative else float
    low, value, high = (scale(end) for end in (figure.ci_low or 0.0, figure.value, figure.ci_high or 0.0))
    return value, (high - low) / 2 / float(scipy.stats.t.ppf(0.975, _freedom(figure)))


def _freedom(figure: Figure) -> int:
    """Return the degrees of freedom of a trimmed mean (Yuen)."""
    return max(1, figure.n - 2 * int(TRIMMED * figure.n) - 1)
