"""The self-audit: rules that mark figures not to be trusted. Pure: results in, warnings out (docs/method.md).

Each rule has a name and says what it means for the reader. `loadtest.verdicts` withdraws what a failed rule rules out.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.results.model import Figure, Results, Row
from loadtest.results.numbers import listed, number
from loadtest.results.view import View
from loadtest.statistics.estimates import TRIMMED
from loadtest.statistics.multiple import family_confidence

BUSY_GENERATOR_PERCENT = 90.0
OTHER_CPU_PERCENT = 5.0
STEAL_PERCENT = 2.0
WIDEST_HALF = 0.10
SMALLEST_SHARE = 0.05
DRIFT = 0.05
PLACEBO = 0.03
FALSE_ALARMS = 0.01
"""How often the null test of a sound run may fail, over all of its comparisons."""

Rule = Callable[[View], Iterator[str]]


def audit(results: Results) -> list[dict[str, str]]:
    """Return a warning `{"rule", "message"}` for everything that makes *results* less reliable."""
    view = View(results)
    return [{"rule": name, "message": message} for name, rule in RULES.items() for message in rule(view)]


def incomplete_run(view: View) -> Iterator[str]:
    """The run ended early, so figures are missing."""
    if not view.results.complete:
        yield f"the run ended early ({view.results.ended_by}): figures cover only the rounds that were finished"


def not_measured(view: View) -> Iterator[str]:
    """A fault did not happen, or the engine cannot cause it: there is no figure for it."""
    for experiment, row in view.not_measured():
        yield f"{experiment}: {row['what']} was not measured: {row['reason']}"


def failed_answers(view: View) -> Iterator[str]:
    """Answers were wrong: the strategy's timings are refused."""
    for figure in view.figures("failed_answers"):
        where = f"{figure.strategy} ({figure.experiment})"
        if figure.value:
            example = figure.labels.get("example", "")
            yield f"{where}: {figure.value:.0f} of {figure.n} answers failed ({example}); its timings are refused"
        elif not figure.n:
            yield f"{where}: no answer came in time; its timings are refused"


def null_test(view: View) -> Iterator[str]:
    """A strategy differs from itself, so differences between strategies may be just as false."""
    found = view.figures("null_ratio")
    for figure in found:
        interval = _family(figure, len(found))
        where = f"{figure.strategy} (path {figure.labels.get('path', '?')})"
        if interval is None:
            yield f"{where} was compared with itself too few times to tell whether the method is sound"
        elif not interval[0] <= 1 <= interval[1]:
            yield (
                f"{where} compared with itself gives {figure.value:.3f}, and 1 is not within the interval "
                f"({interval[0]:.3f} to {interval[1]:.3f}): the method saw a difference where there is none"
            )


def _family(figure: Figure, comparisons: int) -> tuple[float, float] | None:
    """Return the interval of *figure*, widened so that *comparisons* null tests of a sound run seldom fail."""
    if figure.ci_low is None or figure.ci_high is None or not 0 < figure.ci_low <= figure.ci_high:
        return None
    confidence = family_confidence(comparisons, 1 - FALSE_ALARMS)
    freedom = max(1, figure.n - 2 * int(TRIMMED * figure.n) - 1)
    wider = scipy.stats.t.ppf((1 + confidence) / 2, freedom) / scipy.stats.t.ppf(0.975, freedom)
    half = float(wider) * math.log(figure.ci_high / figure.ci_low) / 2
    return figure.value * math.exp(-half), figure.value * math.exp(half)


def missing_null_test(view: View) -> Iterator[str]:
    """Costs were compared, but no null test shows that the comparison is sound."""
    if view.figures("cpu_ratio") and not view.figures("null_ratio"):
        yield "strategies were compared, but none with itself: nothing shows that the comparison is sound"


def placebo(view: View) -> Iterator[str]:
    """The load balancer does the same work for both strategies, so it must cost the same."""
    for figure in view.figures("placebo_ratio"):
        if figure.ci_low is None or abs(figure.value - 1) > PLACEBO:
            yield (
                f"nginx does the same work for {figure.strategy} and {figure.labels.get('over', 'the control')}, but "
                f"its CPU per request differs: {figure.value:.3f}, not within 1 ± {PLACEBO:g}"
            )


def generator_busy(view: View) -> Iterator[str]:
    """A load generator at its limit measures itself. The rule fires if the interval does not exclude that."""
    for figure in view.figures("generator_cpu"):
        if _highest(figure) > BUSY_GENERATOR_PERCENT:
            closed = figure.labels.get("loop") == "closed"
            what = "requests/s may be a lower bound" if closed else "latency may be too high"
            loop = "closed" if closed else f"open ({figure.labels.get('level', '?')} traffic)"
            yield f"{figure.strategy}, {loop} loop: the load generator used {_range(figure)} % of a core, so {what}"


def wide_interval(view: View) -> Iterator[str]:
    """CPU per request is not known to ±10 %, in a tier whose share matters."""
    for path in dict.fromkeys(f.labels.get("path", "") for f in view.figures("cpu_per_request")):
        for name in view.strategies("cpu_per_request", path=path):
            costs = view.figures("cpu_per_request", name, path=path)
            wide = [_wide(f) for f in costs if _matters(f, costs) and not _half(f) <= WIDEST_HALF]
            if wide:
                yield f"{name}, path {path or 'unknown'}: CPU per request is imprecise: {listed(wide)}"


def _matters(figure: Figure, costs: list[Figure]) -> bool:
    """Return whether the tier has at least 5 % of the total cost."""
    return abs(figure.value) >= SMALLEST_SHARE * max(abs(cost.value) for cost in costs)


def _wide(figure: Figure) -> str:
    half = _half(figure)
    tier = figure.labels.get("tier", "?")
    return f"±{100 * half:.0f} % ({tier})" if math.isfinite(half) else f"no interval ({tier}: one sample)"


def _half(figure: Figure) -> float:
    """Return half the interval's width as a share of the value; infinite if there is no interval."""
    if figure.ci_low is None or figure.ci_high is None or not figure.value:
        return math.inf
    return (figure.ci_high - figure.ci_low) / 2 / abs(figure.value)


def busy_machine(view: View) -> Iterator[str]:
    """Other programs were running."""
    for figure in view.figures("other_cpu"):
        if _highest(figure) > OTHER_CPU_PERCENT:
            yield (
                f"other programs used {_range(figure)} % of a core: this affects every figure, even CPU per request "
                "(shared caches and cores); repeat the run on an idle machine"
            )


def steal(view: View) -> Iterator[str]:
    """The host gave this machine's CPU to other machines."""
    for figure in view.figures("steal"):
        if figure.value > STEAL_PERCENT:
            yield (
                f"the machine's host took away {number(figure.value)} % of a core during the run: this affects latency "
                "and requests/s, and CPU per request less"
            )


def drift(view: View) -> Iterator[str]:
    """The machine's speed changed. Turns are balanced, so all strategies are affected alike, but not constantly."""
    for figure in view.figures("drift"):
        outside = figure.ci_low is not None and figure.ci_high is not None and not figure.ci_low <= 1 <= figure.ci_high
        if outside and abs(figure.value - 1) > DRIFT:
            yield (
                f"a request to {figure.strategy} cost {figure.value:.2f} times as much in the last third of the rounds "
                "as in the first: the machine's speed changed, and absolute figures are averages over that"
            )


def order_not_balanced(view: View) -> Iterator[str]:
    """A strategy that is always first or last is compared with the machine's drift, not with the others."""
    turns = [row for row in view.results.rounds.get("cost", ()) if row.get("kind") == "turn"]
    for path in dict.fromkeys(row["path"] for row in turns):
        places = _places([row for row in turns if row["path"] == path])
        rounds, middle = max(map(len, places.values())), (len(places) - 1) / 2
        chance = math.sqrt((len(places) ** 2 - 1) / 12 / rounds)  # standard deviation of a mean place in random orders
        skewed = [name for name, taken in places.items() if abs(sum(taken) / len(taken) - middle) > 3 * chance]
        if skewed:
            yield (
                f"path {path}: {listed(skewed)} had their turns too early or too late in too many rounds, so drift of "
                "the machine can look like a difference"
            )


def _places(turns: Sequence[Row]) -> dict[str, list[int]]:
    """Return the place of each strategy in each round."""
    rounds, places = defaultdict(list), defaultdict(list)
    for row in turns:
        rounds[row["round"]].append(row["strategy"])
    for order in rounds.values():
        for place, name in enumerate(order):
            places[name].append(place)
    return places


def _highest(figure: Figure) -> float:
    """Return the highest value that the interval does not exclude."""
    return figure.value if figure.ci_high is None else figure.ci_high


def _range(figure: Figure) -> str:
    if figure.ci_low is None or figure.ci_high is None:
        return number(figure.value)
    return f"{number(figure.ci_low)} to {number(figure.ci_high)}"


RULES: dict[str, Rule] = {
    "incomplete_run": incomplete_run,
    "not_measured": not_measured,
    "failed_answers": failed_answers,
    "null_test": null_test,
    "missing_null_test": missing_null_test,
    "placebo": placebo,
    "generator_busy": generator_busy,
    "wide_interval": wide_interval,
    "busy_machine": busy_machine,
    "steal": steal,
    "drift": drift,
    "order_not_balanced": order_not_balanced,
}
