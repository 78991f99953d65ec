"""The answer: which strategy to take, and what would change that. The rules know no strategy by name.

A strategy qualifies by its capabilities, its right answers and its losses. Of those that qualify the cheapest is the
answer, if the intervals that hold for all comparisons together show that it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.numbers import amount, listed, number, with_interval
from loadtest.report.need import BROWSERS, KILLED, LOGOUT, OTHERS, Need, extra, losses, measured, missing, shortcoming
from loadtest.results import Figure
from loadtest.verdicts import FORBID_COST
from loadtest.verdicts.ranking import JUDGED, TOGETHER, Relation, relation
from loadtest.view import View

RULE = "logins survive the loss of a replica and whose logouts hold, forced ones too"


@dataclass(frozen=True)
class Change:
    """Another strategy, and when it is the better choice. *text* goes on after its name."""

    strategy: str
    text: str


@dataclass(frozen=True)
class Answer:
    """The first thing that a reader sees. *strategies*: the answer; more than one if the run cannot decide."""

    headline: str
    sentences: list[str]
    strategies: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    withdrawn: str = ""
    """The audit rules that forbid verdicts on cost."""


def answer(view: View) -> Answer:
    """Return what *view* has to say to somebody who wants pages in a browser."""
    failed = [warning for warning in view.results.warnings if warning["rule"] in FORBID_COST]
    if failed:
        reasons = [warning["message"] for warning in failed[:2]]
        more = f" ({len(failed) - 2} more in the self-audit below.)" if len(failed) > 2 else ""
        return Answer(
            "No answer: this run failed its own checks",
            [
                f"The verdicts on cost are withdrawn: {'; '.join(reasons)}.{more}",
                "Repeat it on an idle machine; until then, do not trust any cost below.",
            ],
            withdrawn=", ".join(dict.fromkeys(warning["rule"] for warning in failed)),
        )
    if not measured(view):
        return Answer(
            "No answer yet: this run compared no costs",
            ["“make compare” measures everything; “python -m loadtest run cost” measures the cost alone."],
        )
    best = cheapest(view, BROWSERS)
    if not best:
        return Answer(
            "No answer: no strategy qualifies",
            [f"This report looks for {BROWSERS.clients} whose {RULE}. None of the strategies measured offers that."],
            changes=tuple(_changes(view, ())),
        )
    sentences = [*_chosen(view, best), _survival(view, best)]
    return Answer(_headline(best), sentences, best, tuple(_changes(view, best)))


def cheapest(view: View, need: Need) -> tuple[str, ...]:
    """Return who meets *need* at the least cost, and all others who may cost as little as far as this run can tell."""
    qualified = sorted(need.met_by(view), key=lambda name: _extra(view, name).value)
    if not qualified:
        return ()
    first = qualified[0]
    return (first, *(name for name in qualified[1:] if relation(view, first, name) is not Relation.LESS))


def _extra(view: View, name: str) -> Figure:
    found = extra(view, name)
    assert found is not None  # noqa: S101  # whoever asks has looked among those that were measured
    return found


def cores(difference: Figure) -> float:
    """Return how many cores a difference in microseconds per request is at 1,000 requests/s."""
    return difference.value / 1000


def _headline(best: tuple[str, ...]) -> str:
    if len(best) == 1:
        return f"Take {best[0]}"
    return f"Take {' or '.join(best)}: the costs cannot be told apart"


def _chosen(view: View, best: tuple[str, ...]) -> Iterator[str]:
    qualified, need = len(BROWSERS.met_by(view)), f"for {BROWSERS.clients} whose {RULE}"
    if len(best) > 1:
        costs = listed([f"{name} {_on_top(view, name)}" for name in best])
        yield f"Strategies {need}: on cost, this run cannot decide between {listed(list(best))}."
        yield f"CPU per request on top of a page without login: {costs}."
        return
    cheapest_of = f"Of the {qualified} strategies {need}, it is the {'cheaper' if qualified == 2 else 'cheapest'}"
    rank = cheapest_of if qualified > 1 else f"It is the only strategy measured {need}"
    cost = f"{_on_top(view, best[0])} of CPU per request more than a page without login"
    yield f"{rank}: {cost}, or {amount(cores(_extra(view, best[0])), 'cores')} per 1,000 requests/s."


def _on_top(view: View, name: str) -> str:
    return with_interval(_extra(view, name))


def _survival(view: View, best: tuple[str, ...]) -> str:
    """Say what supports that logins survive: kills in this run, or only what the strategy says of itself."""
    kills = [figure for name in best for figure in view.figures("kills_with_losses", name, **KILLED)]
    if not kills:
        return "This run killed no replica: that logins survive is what the strategy says of itself."
    fewest = min(kills, key=lambda figure: figure.n)
    kill = "1 kill" if fewest.n == 1 else f"{fewest.n} kills"
    bound = (
        "" if fewest.ci_high is None else f"; so few cannot rule out losses in up to {fewest.ci_high:.0f} % of kills"
    )
    return f"In {kill} of a replica, no login was lost{bound}."


def _changes(view: View, best: tuple[str, ...]) -> Iterator[Change]:
    """Yield the strategies that a reader with other needs, or other prices, should take."""
    if best:
        yield from _next_best(view, best)
        yield from _cheaper(view, best[0])
    yield from _other_clients(view)


def _next_best(view: View, best: tuple[str, ...]) -> Iterator[Change]:
    """Yield who meets the same need, dearer: there is a reason to choose them that capabilities do not tell."""
    if len(best) > 1:
        yield from (Change(name, f": {_advice(view, name)}") for name in best)
        return
    for name in BROWSERS.met_by(view):
        more = saving(view, name, best[0])
        if name not in best and more:
            yield Change(name, f" costs {with_interval(more)} more per request. {_advice(view, name)}")


def _advice(view: View, name: str) -> str:
    return view.results.config["strategies"][name]["choose_when"]


def saving(view: View, dear: str, cheap: str) -> Figure | None:
    """Return what *cheap* saves per request compared with *dear*, with its simultaneous interval."""
    return view.difference(dear, cheap, **JUDGED, **TOGETHER)


def _cheaper(view: View, best: str) -> Iterator[Change]:
    """Yield, of those who lack the same guarantees, the cheapest, if it was shown to be cheaper than *best*."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    others = [name for name in measured(view) if missing(view, name) or losses(view, name)]
    for name in sorted(others, key=lambda name: _extra(view, name).value):
        groups.setdefault((view.kind(name), missing(view, name)), []).append(name)
    rest = []
    for names in groups.values():
        saved = saving(view, best, names[0])
        if saved and saved.value > 0 and relation(view, names[0], best) is Relation.LESS:
            yield Change(names[0], _worth(view, names[0], saved))
        else:
            rest += names
    if rest:
        yield Change(
            listed(rest), f" {'give' if len(rest) > 1 else 'gives'} less and {_were(rest)} not shown to be cheaper."
        )


def _were(names: list[str]) -> str:
    return "were" if len(names) > 1 else "was"


def _worth(view: View, name: str, saved: Figure) -> str:
    """Say what *name* saves, from which rate on that is a core, what it takes for it, and when it pays."""
    more = f"{amount(cores(saved), 'cores')} per 1,000 requests/s, or one core at {number(core_rate(saved))}"
    text = f" saves {with_interval(saved)} per request: {more}. But {shortcoming(view, name)}."
    return " ".join([text, *_pays(view, name, saved)])


def core_rate(saved: Figure) -> float:
    """Return at how many requests/s a saving in microseconds per request is one core."""
    return float(f"{1e6 / saved.value:.2g}")


def _pays(view: View, name: str, saved: Figure) -> Iterator[str]:
    """Yield from how many requests of a user on the saving makes up for what else *name* costs in CPU."""
    lost, login = losses(view, name), view.one("cpu_per_login", name, tier="total")
    if lost and login:
        requests = number(between_losses(lost, login, saved))
        yield f"New logins use up the saving unless each user sends more than {requests} requests between two kills."
    refresh = view.one("cpu_per_refresh", tier="total")
    if refresh and view.kind(name) == "token" and LOGOUT in missing(view, name):
        yield f"Each refresh uses up the saving of {number(_rounded(refresh.value / saved.value))} requests."


def between_losses(lost: Figure, login: Figure, saved: Figure) -> float:
    """Return after how many requests a user has saved the share of a login that each lost replica costs them."""
    return _rounded(lost.value / 100 * login.value / saved.value)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _other_clients(view: View) -> Iterator[Change]:
    """Yield who is the answer for clients that are no browsers."""
    best = cheapest(view, OTHERS)
    if best:
        costs = listed([_on_top(view, name) for name in best])
        alike = " (their costs cannot be told apart)" if len(best) > 1 else ""
        yield Change(
            " or ".join(best),
            f" is the answer for {OTHERS.clients} and need the same: {costs} more than a page without login{alike}.",
        )
