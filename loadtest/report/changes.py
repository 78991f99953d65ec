"""What would change the answer: other strategies, what they save and what they lack, with thresholds from the run."""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.report.need import (
    BROWSERS,
    LOGOUT,
    OTHERS,
    cheapest,
    known_extra,
    losses,
    measured,
    missing,
    on_top,
    shortcoming,
)
from loadtest.results.model import Figure
from loadtest.results.numbers import amount, listed, number, with_interval
from loadtest.results.view import View
from loadtest.verdicts.ranking import JUDGED, TOGETHER, Relation, relation


@dataclass(frozen=True)
class Change:
    """Another strategy, and when it is the better choice. *text* completes a sentence that starts with its name."""

    strategy: str
    text: str


def changes(view: View, best: tuple[str, ...]) -> Iterator[Change]:
    """Yield the strategies for readers with other needs or other prices."""
    if best:
        yield from _next_best(view, best)
        yield from _cheaper(view, best[0])
    yield from _other_clients(view)


def _next_best(view: View, best: tuple[str, ...]) -> Iterator[Change]:
    """Yield more expensive strategies that meet the same need; capabilities do not show why to choose them."""
    if len(best) > 1:
        yield from (
            Change(name, f"costs the same, as far as this run can tell. {_advice(view, name)}") for name in best
        )
        return
    for name in BROWSERS.met_by(view):
        more = saving(view, name, best[0])
        if name not in best and more:
            yield Change(name, f"costs {with_interval(more)} more per request. {_advice(view, name)}")


def _advice(view: View, name: str) -> str:
    return view.results.config["strategies"][name]["choose_when"]


def saving(view: View, dear: str, cheap: str) -> Figure | None:
    """Return what *cheap* saves per request compared with *dear*, with its simultaneous interval."""
    return view.difference(dear, cheap, **JUDGED, **TOGETHER)


def _cheaper(view: View, best: str) -> Iterator[Change]:
    """For each set of missing guarantees, yield the cheapest strategy if it was shown to be cheaper than *best*."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    others = [name for name in measured(view) if missing(view, name) or losses(view, name)]
    for name in sorted(others, key=lambda name: known_extra(view, name).value):
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
            listed(rest),
            f"{'guarantee' if len(rest) > 1 else 'guarantees'} less and {_were(rest)} not shown to be cheaper.",
        )


def _were(names: list[str]) -> str:
    return "were" if len(names) > 1 else "was"


def _worth(view: View, name: str, saved: Figure) -> str:
    """Say what *name* saves, at which rate that is a core, what it lacks, and when it pays."""
    more = f"{amount(cores(saved), 'cores')} per 1,000 requests/s, or one core at {number(core_rate(saved))} requests/s"
    text = f"saves {with_interval(saved)} per request: {more}. But {shortcoming(view, name)}."
    return " ".join([text, *_pays(view, name, saved)])


def core_rate(saved: Figure) -> float:
    """Return the rate in requests/s at which a saving in microseconds per request is one core."""
    return float(f"{1e6 / saved.value:.2g}")


def _pays(view: View, name: str, saved: Figure) -> Iterator[str]:
    """Yield how many requests it takes until the saving makes up for what else *name* costs in CPU."""
    lost, login = losses(view, name), view.one("cpu_per_login", name, tier="total")
    if lost and login:
        requests = number(between_losses(lost, login, saved))
        yield f"New logins use up the saving unless each user sends more than {requests} requests between two kills."
    refresh = view.one("cpu_per_refresh", tier="total")
    if refresh and view.kind(name) == "token" and LOGOUT in missing(view, name):
        yield f"Each refresh uses up the saving of {number(_rounded(refresh.value / saved.value))} requests."


def between_losses(lost: Figure, login: Figure, saved: Figure) -> float:
    """Return how many requests a user needs to save their share of the logins that each lost replica costs."""
    return _rounded(lost.value / 100 * login.value / saved.value)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _other_clients(view: View) -> Iterator[Change]:
    """Yield the answer for clients other than browsers."""
    best = cheapest(view, OTHERS)
    if best:
        costs = listed([on_top(view, name) for name in best])
        alike = " (their costs cannot be told apart)" if len(best) > 1 else ""
        yield Change(
            " or ".join(best),
            f"is the answer for {OTHERS.clients} and need the same guarantees: "
            f"{costs} more than a page without login{alike}.",
        )


def cores(difference: Figure) -> float:
    """Return a difference in microseconds per request as cores at 1,000 requests/s."""
    return difference.value / 1000
