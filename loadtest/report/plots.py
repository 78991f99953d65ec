"""The plots, drawn on axes that they are given. Colours are Okabe and Ito's: told apart by colour-blind readers too."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from loadtest.report.numbers import amount, number
from loadtest.report.view import View
from loadtest.results import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#999999")
TIERS = {
    "loadbalancer": "#56B4E9",
    "app": "#0072B2",
    "auth": "#009E73",
    "redis": "#D55E00",
    "database": "#CC79A7",
}
MARKERS = "osD^vPX*"
SMALLEST_SHOWN = 0.002


def draw_cpu(axes: Axes, view: View, metric: str = "cpu_per_request") -> None:
    """Stacked bars of CPU by tier, one per strategy; the interval is the total's."""
    names = view.strategies(metric, tier="total")
    _stack(axes, view, {name: (metric, name) for name in names})
    axes.set_xlabel("CPU on the servers" + (" per request" if metric == "cpu_per_request" else " per login"))


def draw_tokens(axes: Axes, view: View) -> None:
    """The same for my page, a refresh and an introspection, of the strategy that was asked about."""
    (name,) = view.strategies("cpu_per_refresh", tier="total")[:1]
    bars = {"my page": "cpu_per_request", "refresh": "cpu_per_refresh", "introspection": "cpu_per_introspection"}
    _stack(axes, view, {bar: (metric, name) for bar, metric in bars.items() if view.figures(metric, name)})
    axes.set_xlabel("CPU on the servers per call")


def _stack(axes: Axes, view: View, bars: Mapping[str, tuple[str, str]]) -> None:
    """Draw one bar per label of *bars* from the figures of its metric and strategy."""
    totals = [_one(view, *bar, "total") for bar in bars.values()]
    left = [0.0] * len(bars)
    longest = max((f.value for f in totals), default=0.0)
    for tier, colour in TIERS.items():
        values = [_one(view, *bar, tier).value for bar in bars.values()]
        if max(values, default=0) > SMALLEST_SHOWN * longest:
            axes.barh(list(bars), values, left=left, color=colour, label=tier, height=0.6)
        left = [start + value for start, value in zip(left, values, strict=True)]
    _whiskers(axes, totals, list(bars), across=True)
    for label, total in zip(bars, totals, strict=True):
        end = total.ci_high if total.ci_high is not None else total.value
        axes.annotate(amount(total.value, "us"), (end, label), (6, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.22 * max((f.ci_high or f.value for f in totals), default=1))
    axes.xaxis.set_major_formatter(lambda value, _: amount(value, "us"))
    axes.invert_yaxis()
    _legend(axes)


def draw_throughput(axes: Axes, view: View) -> None:
    """Bars of requests/s in the closed loop."""
    figures = view.figures("throughput")
    names = [f.strategy for f in figures]
    axes.barh(names, [f.value for f in figures], color=COLOURS[0], height=0.6)
    _whiskers(axes, figures, names, across=True)
    for figure in figures:
        end = figure.ci_high if figure.ci_high is not None else figure.value
        axes.annotate(number(figure.value), (end, figure.strategy), (6, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.2 * max((f.ci_high or f.value for f in figures), default=1))
    axes.set_xlabel("requests/s, closed loop, this machine")
    axes.invert_yaxis()


def draw_latency(axes: Axes, view: View) -> None:
    """Percentiles on a logarithmic scale, strategies side by side so that their intervals do not hide each other."""
    names = view.strategies("latency")
    percentiles = list(dict.fromkeys(f.labels["percentile"] for f in view.figures("latency")))
    for index, name in enumerate(names):
        figures = view.figures("latency", name)
        places = [percentiles.index(f.labels["percentile"]) + (index - len(names) / 2 + 0.5) * 0.15 for f in figures]
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        errors = [[e / 1000 for e in side] for side in _errors(figures)]
        values = [f.value / 1000 for f in figures]
        axes.errorbar(places, values, yerr=errors, color=colour, marker=marker, capsize=3, label=name, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(percentiles)), percentiles)
    axes.set_ylabel("ms from the intended start")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # 2, not 2 x 10^0
    _legend(axes)


def draw_survival(axes: Axes, view: View) -> None:
    """Who is logged out, and the line that state in one replica predicts."""
    names = view.strategies("logged_out")
    series = {
        "kill -9, with affinity": ({"fault": "kill -9", "affinity": "true"}, COLOURS[0]),
        "no fault, affinity forgotten": ({"fault": "none", "affinity": "false"}, COLOURS[1]),
    }
    for offset, (label, (labels, colour)) in zip((-0.19, 0.19), series.items(), strict=True):
        figures = [f for name in names for f in view.figures("logged_out", name, **labels)]
        places = [names.index(f.strategy) + offset for f in figures]
        axes.bar(places, [f.value for f in figures], 0.36, color=colour, label=label)
        _whiskers(axes, figures, places)
    if expected := view.one("expected_logged_out"):
        line = f"1 of {view.replicas} replicas"
        axes.axhline(expected.value, color=COLOURS[4], linestyle="--", linewidth=1.2, label=line)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 105)
    axes.set_ylabel("% of users logged out")
    _legend(axes)


INK = "#010203"  # stands for the reader's text colour in SVG


def _one(view: View, metric: str, strategy: str, tier: str) -> Figure:
    return view.one(metric, strategy, tier=tier) or Figure("", strategy, metric, "us", 0.0)


def _whiskers(axes: Axes, figures: Sequence[Figure], places: Sequence[Any], *, across: bool = False) -> None:
    """Draw the intervals of bars at *places*; *across*: the bars lie."""
    values, errors = [f.value for f in figures], _errors(figures)
    x, y, xerr, yerr = (values, places, errors, None) if across else (places, values, None, errors)
    axes.errorbar(x, y, xerr=xerr, yerr=yerr, fmt="none", ecolor=INK, capsize=3, elinewidth=1.2)


def _errors(figures: Sequence[Figure]) -> list[list[float]]:
    low = [f.value - f.ci_low if f.ci_low is not None else 0.0 for f in figures]
    high = [f.ci_high - f.value if f.ci_high is not None else 0.0 for f in figures]
    return [[max(0.0, one) for one in low], [max(0.0, one) for one in high]]


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize="small")
