"""What the plots share. Colours are Okabe and Ito's: colour-blind readers can tell them apart."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from loadtest.results.model import Figure
from loadtest.results.numbers import amount, duration, number
from loadtest.results.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.axis import Axis
else:
    Axes = object  # matplotlib takes a second to load: `up` and `status` need not wait for it

INK = "#010203"
"""Stands for the reader's text colour in SVG."""
SOFT = "#888f98"
BLUE, ORANGE, GREEN, RED, SKY, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
KINDS = {"control": SOFT, "session": BLUE, "token": ORANGE}
TIERS = {"loadbalancer": SKY, "app": BLUE, "auth": GREEN, "redis": RED, "database": PINK}
DELAYS = (0.001, 0.01, 0.1, 1, 10, 120, 1800, 43_200, 604_800)
"""What an axis of delays names, in seconds."""
SMALLEST_SHOWN = 0.002
"""The share of the longest bar that a tier must have to be drawn."""


def colour(view: View, strategy: str) -> str:
    """Return the colour of the strategy's kind."""
    return KINDS.get(view.kind(strategy), SOFT)


def panels(axes: Axes, number: int, *, stacked: bool = False) -> list[Axes]:
    """Replace *axes* by *number* panels that share the vertical axis or, if *stacked*, the horizontal one."""
    place = axes.get_subplotspec()
    assert place is not None  # noqa: S101  # it came from subplots()
    axes.remove()
    grid = place.subgridspec(number, 1) if stacked else place.subgridspec(1, number)
    return list(np.asarray(grid.subplots(sharex=stacked, sharey=not stacked, squeeze=False), dtype=object).flat)


def percent_table(
    axes: Axes, names: Sequence[str], cells: Sequence[Sequence[float]], *, more_is_worse: bool = False
) -> None:
    """Draw a row of percentages for each of *names*, green where all is well; nothing where a cell is not a number."""
    if names:
        colours = "RdYlGn_r" if more_is_worse else "RdYlGn"
        axes.pcolormesh(np.asarray(cells), cmap=colours, vmin=0, vmax=100, alpha=0.55, linewidth=0)
    for up, row in enumerate(cells):
        for across, value in enumerate(row):
            if not math.isnan(value):
                axes.text(across + 0.5, up + 0.5, f"{value:.0f}", ha="center", va="center", fontsize="x-small")
    axes.set_yticks([up + 0.5 for up in range(len(names))], names)
    axes.set_ylim(len(names) or 1, 0)
    axes.tick_params(length=0, labelsize="x-small")


def errors(figures: Sequence[Figure]) -> list[list[float]]:
    """Return how far each interval reaches below and above its value; 0 without an interval."""
    low = [f.value - f.ci_low if f.ci_low is not None else 0.0 for f in figures]
    high = [f.ci_high - f.value if f.ci_high is not None else 0.0 for f in figures]
    return [[max(0.0, one) for one in low], [max(0.0, one) for one in high]]


def highest(figures: Sequence[Figure]) -> float:
    """Return the highest end of an interval."""
    return max((f.ci_high if f.ci_high is not None else f.value for f in figures), default=1.0)


def dots(axes: Axes, figures: Sequence[Figure], names: Sequence[str], colours: Sequence[str]) -> None:
    """Draw a dot with its interval per figure, the first on top, and write the value behind it."""
    for place, (figure, dot) in enumerate(zip(figures, colours, strict=True)):
        axes.errorbar(figure.value, place, xerr=errors([figure]), fmt="o", color=dot, capsize=3, markersize=6)
    values_beside(axes, figures, range(len(figures)))
    rows(axes, names)
    if {figure.unit for figure in figures} == {"us"}:
        axes.xaxis.set_major_formatter(lambda value, _: amount(value, "us"))


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows, the first on top, and draw a faint line for each."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=SOFT, alpha=0.22, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def values_beside(axes: Axes, figures: Sequence[Figure], places: Sequence[int]) -> None:
    """Write each value behind the end of its interval."""
    for figure, place in zip(figures, places, strict=True):
        text = amount(figure.value, "" if "/" in figure.unit else figure.unit)
        axes.annotate(
            text, (highest([figure]), place), (5, 0), textcoords="offset points", va="center", fontsize="small"
        )


def name_delays(axis: "Axis", longest: float) -> None:
    """Name the delays on a logarithmic *axis* of milliseconds that reaches to *longest*, in units that fit."""
    shown = [seconds for seconds in DELAYS if 1000 * seconds < 3 * longest]
    names = [duration(seconds) if seconds >= 1 else f"{number(1000 * seconds)} ms" for seconds in shown]
    axis.set_ticks([0, *(1000 * seconds for seconds in shown)], ["at once", *names])
    axis.set_ticks([], minor=True)


def legend(axes: Axes, columns: int = 4) -> None:
    """Put the legend above the plot, if there is anything to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, fontsize="small",
            columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip


def legend_above(drawn: Sequence[Axes]) -> None:
    """Put one legend for all panels above them."""
    canvas = drawn[0].get_figure()
    handles = {label: handle for axes in drawn for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if canvas and handles:
        canvas.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=5, frameon=False, fontsize="small",
            columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip


def bars_by_tier(axes: Axes, view: View, bars: Mapping[str, tuple[str, str]]) -> None:
    """Draw one stacked bar per label of *bars*, from its (metric, strategy); the interval is the total's."""
    costs = {bar: partial(_tier, view, *what) for bar, what in bars.items()}
    totals = [cost("total") for cost in costs.values()]
    left, places = [0.0] * len(bars), range(len(bars))
    for tier, tint in TIERS.items():
        values = [max(0.0, cost(tier).value) for cost in costs.values()]
        if max(values, default=0) > SMALLEST_SHOWN * highest(totals):
            axes.barh(places, values, left=left, color=tint, label=tier, height=0.6)
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.errorbar([f.value for f in totals], list(places), xerr=errors(totals), fmt="none", ecolor="#777777", capsize=3)
    values_beside(axes, totals, places)
    rows(axes, list(bars))
    axes.set_xlim(0, 1.25 * highest(totals) or 1.0)
    axes.xaxis.set_major_formatter(lambda value, _: amount(value, "us"))
    axes.tick_params(axis="x", labelsize="small")
    legend(axes, 5)


def _tier(view: View, metric: str, strategy: str, tier: str) -> Figure:
    path = {"path": "nginx"} if metric == "cpu_per_request" else {}
    return view.one(metric, strategy, tier=tier, **path) or Figure("", strategy, metric, "us", 0.0)
