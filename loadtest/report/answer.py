"""The answer: which strategy to take, and what would change that. The rules know no strategy by name.

A strategy qualifies by its capabilities, its right answers and its losses. Of those that qualify the cheapest is the
answer, if the intervals that hold for all comparisons together show that it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.report.changes import Change, changes, cores
from loadtest.report.need import BROWSERS, KILLED, cheapest, known_extra, measured, on_top
from loadtest.results.numbers import amount, listed
from loadtest.results.view import View
from loadtest.verdicts import FORBID_COST

RULE = "logins survive the loss of a replica and whose logouts hold, forced ones too"


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
            changes=tuple(changes(view, ())),
        )
    sentences = [*_chosen(view, best), _survival(view, best)]
    return Answer(_headline(best), sentences, best, tuple(changes(view, best)))


def _headline(best: tuple[str, ...]) -> str:
    if len(best) == 1:
        return f"Take {best[0]}"
    return f"Take {' or '.join(best)}: the costs cannot be told apart"


def _chosen(view: View, best: tuple[str, ...]) -> Iterator[str]:
    qualified, need = len(BROWSERS.met_by(view)), f"for {BROWSERS.clients} whose {RULE}"
    if len(best) > 1:
        costs = listed([f"{name} {on_top(view, name)}" for name in best])
        yield f"Strategies {need}: on cost, this run cannot decide between {listed(list(best))}."
        yield f"CPU per request on top of a page without login: {costs}."
        return
    cheapest_of = f"Of the {qualified} strategies {need}, it is the {'cheaper' if qualified == 2 else 'cheapest'}"
    rank = cheapest_of if qualified > 1 else f"It is the only strategy measured {need}"
    cost = f"{on_top(view, best[0])} of CPU per request more than a page without login"
    yield f"{rank}: {cost}, or {amount(cores(known_extra(view, best[0])), 'cores')} per 1,000 requests/s."


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
