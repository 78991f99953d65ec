"""All pairs of strategies as a matrix: what the row costs, divided by what the column costs."""

import math
from dataclasses import dataclass

from loadtest.results.model import Figure
from loadtest.results.numbers import interval, number
from loadtest.results.view import View
from loadtest.verdicts.ranking import JUDGED, TOGETHER

NO_DIFFERENCE = "no difference shown"
DEEPEST = math.log(2)
"""The logarithm of the ratio beyond which the colour does not get any deeper."""


@dataclass(frozen=True)
class Cell:
    """*text*: the ratio; *note*: its interval. *tone*: `less`, `more` or empty; *depth*: of its colour, in percent."""

    text: str
    note: str = ""
    tone: str = ""
    depth: int = 0


@dataclass(frozen=True)
class Matrix:
    """*names*: of the rows and of the columns; *rows*: cells by the name of their row."""

    names: list[str]
    rows: list[tuple[str, list[Cell]]]


def matrix(view: View) -> Matrix | None:
    """Return the matrix, cheapest first, or None if nothing was compared."""
    compared = {end for f in view.figures("cpu_ratio", **JUDGED, **TOGETHER) for end in (f.strategy, f.labels["over"])}
    names = sorted(compared, key=lambda name: _cost(view, name))
    if not names:
        return None
    rows = [(view.named(one), [_cell(view, one, other) for other in names]) for one in names]
    return Matrix([view.named(name) for name in names], rows)


def _cost(view: View, name: str) -> float:
    figure = view.one("cpu_per_request", name, **JUDGED)
    return figure.value if figure else math.inf


def _cell(view: View, one: str, other: str) -> Cell:
    if one == other:
        return Cell("")
    ratio = view.ratio("cpu_ratio", one, other, **JUDGED, **TOGETHER)
    return judged(ratio) if ratio else Cell("not measured")


def judged(ratio: Figure) -> Cell:
    """Return what *ratio* shows: nothing if its interval contains 1 or is unknown."""
    known = interval(ratio).removesuffix(" times").replace(" to ", "\N{EN DASH}")
    if ratio.ci_low is None or ratio.ci_high is None or ratio.ci_low <= 1 <= ratio.ci_high:
        return Cell(NO_DIFFERENCE, known)
    depth = min(1.0, abs(math.log(ratio.value)) / DEEPEST)
    text, tone = f"{number(ratio.value)}\N{MULTIPLICATION SIGN}", "less" if ratio.value < 1 else "more"
    return Cell(text, known, tone, round(12 + 43 * depth))
