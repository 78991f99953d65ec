"""The plots, drawn on axes that they are given. Colours are Okabe and Ito's: told apart by colour-blind readers too."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from loadtest.numbers import amount
from loadtest.results import Figure
from loadtest.view import View

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
SIDE_BY_SIDE = 5  # names of strategies that stand beside each other without touching
SLANTED: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}


def draw_cpu(axes: Axes, view: View, metric: str = "cpu_per_request") -> None:
    """Stacked bars of CPU by tier, one per strategy; the interval is the total's."""
    names = view.strategies(metric, tier="total", **_path(metric))
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
    _values_beside(axes, totals, list(bars))
    axes.set_xlim(0, 1.22 * max((f.ci_high or f.value for f in totals), default=1))
    axes.xaxis.set_major_formatter(lambda value, _: amount(value, "us"))
    axes.invert_yaxis()
    _legend(axes)


def draw_algorithms(axes: Axes, view: View) -> None:
    """Three panels in the place of *axes*, a bar per algorithm in each: CPU to sign, CPU to verify, bytes."""
    place = axes.get_subplotspec()
    assert place is not None  # noqa: S101  # it came from subplots()
    axes.remove()
    sign, verify, size = np.asarray(place.subgridspec(1, 3).subplots(sharey=True), dtype=object)
    _algorithm_bars(sign, view.figures("sign_cpu"), "CPU to sign", COLOURS[0])
    _algorithm_bars(verify, view.figures("verify_cpu", part="pyjwt"), "CPU to verify", COLOURS[0])
    signatures = view.figures("verify_cpu", part="signature")
    names = [f.labels["algorithm"] for f in signatures]
    verify.barh(names, [f.value for f in signatures], color=COLOURS[1], height=0.3, label="of which the signature")
    _algorithm_bars(size, view.figures("token_size"), "size of a token", COLOURS[2])
    sign.invert_yaxis()
    _legend(verify)


def _algorithm_bars(axes: Axes, figures: Sequence[Figure], what: str, colour: str) -> None:
    names = [f.labels["algorithm"] for f in figures]
    axes.barh(names, [f.value for f in figures], color=colour, height=0.6)
    _whiskers(axes, figures, names, across=True)
    _values_beside(axes, figures, names)
    axes.set_xlim(0, 1.7 * max((f.ci_high or f.value for f in figures), default=1))
    axes.set_xticks([])  # the values stand beside the bars
    axes.set_xlabel(what)


def draw_throughput(axes: Axes, view: View) -> None:
    """Bars of requests/s in the closed loop."""
    figures = view.figures("throughput")
    names = [f.strategy for f in figures]
    axes.barh(names, [f.value for f in figures], color=COLOURS[0], height=0.6)
    _whiskers(axes, figures, names, across=True)
    _values_beside(axes, [replace(f, unit="") for f in figures], names)
    axes.set_xlim(0, 1.2 * max((f.ci_high or f.value for f in figures), default=1))
    axes.set_xlabel("requests/s, closed loop, this machine")
    axes.invert_yaxis()


def draw_latency(axes: Axes, view: View) -> None:
    """Percentiles on a logarithmic scale, strategies side by side so that their intervals do not hide each other."""
    names = view.strategies("latency", level="high")
    percentiles = list(dict.fromkeys(f.labels["percentile"] for f in view.figures("latency", level="high")))
    step = min(0.15, 0.8 / max(1, len(names)))
    for index, name in enumerate(names):
        figures = view.figures("latency", name, level="high")
        places = [percentiles.index(f.labels["percentile"]) + (index - len(names) / 2 + 0.5) * step for f in figures]
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
    names = view.strategies("users_lost")
    series = {
        "kill -9, with affinity": ({"fault": "kill -9", "affinity": "true"}, COLOURS[0]),
        "no fault, affinity forgotten": ({"fault": "none", "affinity": "false"}, COLOURS[1]),
    }
    for offset, (label, (labels, colour)) in zip((-0.19, 0.19), series.items(), strict=True):
        figures = [f for name in names for f in view.figures("users_lost", name, **labels)]
        places = [names.index(f.strategy) + offset for f in figures]
        axes.bar(places, [f.value for f in figures], 0.36, color=colour, label=label)
        _whiskers(axes, figures, places)
    if expected := view.one("expected_users_lost"):
        line = f"1 of {view.replicas} replicas"
        axes.axhline(expected.value, color=COLOURS[4], linestyle="--", linewidth=1.2, label=line)
    axes.set_xticks(range(len(names)), names, **(SLANTED if len(names) > SIDE_BY_SIDE else {}))
    axes.set_ylim(0, 105)
    axes.set_ylabel("% of users logged out")
    _legend(axes)


INK = "#010203"  # stands for the reader's text colour in SVG


def _path(metric: str) -> dict[str, str]:
    """Return which of two ways to a replica is shown."""
    return {"path": "nginx"} if metric == "cpu_per_request" else {}


def _one(view: View, metric: str, strategy: str, tier: str) -> Figure:
    return view.one(metric, strategy, tier=tier, **_path(metric)) or Figure("", strategy, metric, "us", 0.0)


def _whiskers(axes: Axes, figures: Sequence[Figure], places: Sequence[Any], *, across: bool = False) -> None:
    """Draw the intervals, where there are any, of bars at *places*; *across*: the bars lie."""
    known = [(f, place) for f, place in zip(figures, places, strict=True) if f.ci_low is not None]
    if not known:
        return
    values, errors = [f.value for f, _ in known], _errors([f for f, _ in known])
    at = [place for _, place in known]
    x, y, xerr, yerr = (values, at, errors, None) if across else (at, values, None, errors)
    axes.errorbar(x, y, xerr=xerr, yerr=yerr, fmt="none", ecolor=INK, capsize=3, elinewidth=1.2)


def _values_beside(axes: Axes, figures: Sequence[Figure], places: Sequence[Any]) -> None:
    """Write each value behind its lying bar."""
    for figure, place in zip(figures, places, strict=True):
        end = figure.ci_high if figure.ci_high is not None else figure.value
        text = amount(figure.value, figure.unit)
        axes.annotate(text, (end, place), (6, 0), textcoords="offset points", va="center")


def _errors(figures: Sequence[Figure]) -> list[list[float]]:
    low = [f.value - f.ci_low if f.ci_low is not None else 0.0 for f in figures]
    high = [f.ci_high - f.value if f.ci_high is not None else 0.0 for f in figures]
    return [[max(0.0, one) for one in low], [max(0.0, one) for one in high]]


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize="small")
