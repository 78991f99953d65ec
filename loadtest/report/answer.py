"""The answer: which strategy to use, and what would change that. The rules know no strategy by name.

A strategy qualifies if it has the capabilities, answered correctly and lost no login. The cheapest one that qualifies
is the answer, provided that simultaneous intervals show it to be the cheapest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.report.changes import Change, changes, cores
from loadtest.report.need import BROWSERS, KILLED, cheapest, known_extra, measured, on_top
from loadtest.results.numbers import amount, listed, number
from loadtest.results.view import View
from loadtest.verdicts import FORBID_COST

GUARANTEES = "logins survive the loss of a replica, and every logout takes effect, even a forced one"


@dataclass(frozen=True)
class Answer:
    """The first thing a reader sees. *strategies*: the answer; more than one if the run cannot decide."""

    headline: str
    sentences: list[str]
    strategies: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    withdrawn: str = ""
    """The audit rules that forbid verdicts on cost."""


def answer(view: View) -> Answer:
    """Return the answer for somebody who serves pages to browsers."""
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
            "No answer yet: this run did not compare costs",
            ["“make compare” measures everything; “python -m loadtest run cost” measures only the cost."],
        )
    best = cheapest(view, BROWSERS)
    if not best:
        return Answer(
            "No answer: no strategy qualifies",
            [
                f"This report looks for strategies for {BROWSERS.clients} with which {GUARANTEES}.",
                "None of those measured offers that.",
            ],
            changes=tuple(changes(view, ())),
        )
    sentences = [*_chosen(view, best), _survival(view, best)]
    return Answer(_headline(best), sentences, best, tuple(changes(view, best)))


def _headline(best: tuple[str, ...]) -> str:
    if len(best) == 1:
        return f"Use {best[0]}"
    return f"Use {' or '.join(best)}: their costs cannot be told apart"


def _chosen(view: View, best: tuple[str, ...]) -> Iterator[str]:
    qualified = len(BROWSERS.met_by(view))
    several = f"With {number(qualified)} strategies" if qualified > 1 else "With only one of the measured strategies"
    yield f"{several} for {BROWSERS.clients}, {GUARANTEES}."
    if len(best) > 1:
        costs = listed([f"{name} {on_top(view, name)}" for name in best])
        yield f"On cost, this run cannot decide between {listed(list(best))}."
        yield f"CPU per request on top of a page without login: {costs}."
        return
    rank = f"{best[0]} is the {'cheaper' if qualified == 2 else 'cheapest'}: it costs" if qualified > 1 else "It costs"
    more = f"{on_top(view, best[0])} of CPU per request more than a page without login"
    yield f"{rank} {more}, or {_per_1000(view, best[0])}."


def _per_1000(view: View, name: str) -> str:
    return f"{amount(cores(known_extra(view, name)), 'cores')} per 1,000 requests/s"


def _survival(view: View, best: tuple[str, ...]) -> str:
    """Say why we think that logins survive: kills in this run, or only the strategy's own claim."""
    kills = [figure for name in best for figure in view.figures("kills_with_losses", name, **KILLED)]
    if not kills:
        return "This run killed no replica: that logins survive is only what the strategy claims."
    fewest = min(kills, key=lambda figure: figure.n)
    kill = "1 kill" if fewest.n == 1 else f"{fewest.n} kills"
    found = f"In {kill} of a replica, no login was lost."
    if fewest.ci_high is None:
        return found
    return f"{found} With so few kills, losses in up to {fewest.ci_high:.0f} % of kills cannot be ruled out."
