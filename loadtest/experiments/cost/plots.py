"""What the login state costs: per request, against what is lost, and as a bill by tier."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from loadtest.report.drawing import (
    INK,
    KINDS,
    SMALLEST_SHOWN,
    SOFT,
    TIERS,
    Axes,
    colour,
    errors,
    highest,
    legend,
    legend_above,
    name_delays,
    panels,
    rows,
    values_beside,
)
from loadtest.report.need import FORCED_LOGOUT, KILLED, extra, forced_logout, lifetime, missing
from loadtest.report.plot import Plot
from loadtest.results.numbers import number
from loadtest.results.view import View
from loadtest.verdicts.ranking import JUDGED, TOGETHER

MS = 1000


def draw_extra(axes: Axes, view: View) -> None:
    """Dots with intervals: what a request costs on top of the control's, cheapest first; the null test as a band."""
    names = by_extra(view)
    null = view.one("null_difference", **JUDGED)
    if null and null.ci_low is not None and null.ci_high is not None:
        band = "null test: the same code differed by this"
        axes.axvspan(null.ci_low, null.ci_high, color=SOFT, alpha=0.35, linewidth=0, label=band)
    axes.axvline(0, color=INK, linewidth=0.8)
    figures = []
    for place, name in enumerate(names):
        near, far = extra(view, name), view.difference(name, view.control or "", **JUDGED, **TOGETHER)
        assert near is not None  # noqa: S101  # that is what `by_extra` sorts by
        tint = colour(view, name)
        if far:
            axes.errorbar(far.value, place, xerr=errors([far]), fmt="none", ecolor=tint, elinewidth=1)
        axes.errorbar(near.value, place, xerr=errors([near]), fmt="o", color=tint, elinewidth=3.5, markersize=6.5)
        figures.append(far or near)
    values_beside(axes, figures, range(len(names)))
    rows(axes, [view.named(name) for name in names])
    low = min([0.0, *(f.ci_low for f in figures if f.ci_low is not None)])
    axes.set_xlim(low - 0.04 * highest(figures), 1.18 * highest(figures))
    axes.set_xlabel(f"µs of CPU per request on top of {view.control}, all tiers")
    legend(axes)


def by_extra(view: View) -> list[str]:
    """Return the strategies whose extra cost is known, cheapest first."""
    found = {name: figure for name in view.results.config["strategies"] if (figure := extra(view, name))}
    return sorted(found, key=lambda name: found[name].value)


class Point(NamedTuple):
    """A strategy's cost (*x*, microseconds) and what it loses (*y*). *measured*: or follows from the settings."""

    name: str
    x: float
    y: float
    measured: bool = True


def draw_tradeoff(axes: Axes, view: View) -> None:
    """Points: cost against revocation delay if that is measured, else against users lost; and the frontier."""
    delays = view.figures("revocation_ms")
    points = _delays(view) if delays else _losses(view)
    for point in points:
        tint = colour(view, point.name)
        fill = tint if point.measured else "none"
        axes.plot(point.x, point.y, "o", markersize=9, markeredgecolor=tint, markerfacecolor=fill, clip_on=False)
    widest = max((point.x for point in points), default=1.0)
    steps = frontier(points)
    across, up = [*(p.x for p in steps), 1.1 * widest], [*(p.y for p in steps), *(p.y for p in steps[-1:])]
    axes.plot(across[: len(up)], up, drawstyle="steps-post", color=INK, linewidth=1, linestyle="--", zorder=0)
    _name(axes, points, 0.045 * widest)
    axes.set_xlabel(f"µs of CPU per request on top of {view.control}")
    axes.set_xlim(min([0.0, *(point.x for point in points)]) - 0.03 * widest, 1.2 * widest)
    if delays:
        longest = max(1.0, *(point.y for point in points))
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(-0.5, 3 * longest)
        name_delays(axes.yaxis, longest)
        axes.set_ylabel("until a forced logout holds")
    else:
        axes.set_ylim(-2, max([40.0, *(1.25 * point.y for point in points)]))
        axes.set_ylabel("% of users a killed replica logs out")
    for kind in dict.fromkeys(view.kind(point.name) for point in points):
        axes.plot([], [], "o", color=KINDS.get(kind, SOFT), label=kind)
    axes.plot([], [], color=INK, linestyle="--", linewidth=1, label="best of both")
    legend(axes)


def _losses(view: View) -> list[Point]:
    lost = {name: view.one("users_lost", name, **KILLED) for name in by_extra(view)}
    return [Point(name, _x(view, name), figure.value) for name, figure in lost.items() if figure]


def _delays(view: View) -> list[Point]:
    """Return measured delays (ms); where nobody can force a logout, the time until the login expires."""
    found = []
    for name in by_extra(view):
        if FORCED_LOGOUT in missing(view, name):
            if bound := lifetime(view, name):
                found.append(Point(name, _x(view, name), bound * MS, measured=False))
        elif last := forced_logout(view, name):
            found.append(Point(name, _x(view, name), last.value))
    return found


def _x(view: View, name: str) -> float:
    figure = extra(view, name)
    return figure.value if figure else 0.0


def frontier(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in both, cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, point.y)):
        if not best or point.y < best[-1].y:
            best.append(point)
    return best


def _name(axes: Axes, points: Sequence[Point], room: float) -> None:
    """Write the names beside the points; slanted and at least *room* apart where they lose nothing and lie in a row."""
    last = -math.inf
    for point in sorted(points, key=lambda point: point.x):
        at = point.x, point.y
        if point.y:
            name = axes.annotate(point.name, at, (9, 0), textcoords="offset points", va="center", fontsize="small")
        else:
            last = max(point.x, last + room)
            name = axes.annotate(
                point.name, at, (last, 9), textcoords=("data", "offset points"), fontsize="small", rotation=50,
                rotation_mode="anchor", arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.6},
            )  # fmt: skip
        name.set_in_layout(False)  # there is room within the axes; the layout would take it from the legend


def draw_bill(axes: Axes, view: View) -> None:
    """Stacked bars by tier, in cores per 1,000 requests/s: of a busy replica, and at high and low traffic."""
    from matplotlib.ticker import MaxNLocator  # it takes a second to load, and not every command draws

    bills = {
        "saturated": ("cpu_per_request", {"path": "nginx"}, 1 / 1000),
        "high traffic": ("cores_per_1000", {"level": "high"}, 1.0),
        "low traffic": ("cores_per_1000", {"level": "low"}, 1.0),
    }
    shown = {what: bill for what, bill in bills.items() if view.figures(bill[0], **bill[1])}
    order = [
        name for name in view.results.config["strategies"] if any(view.figures(b[0], name) for b in shown.values())
    ]
    drawn, longest = panels(axes, len(shown)), 0.0
    for panel, (what, (metric, labels, scale)) in zip(drawn, shown.items(), strict=True):
        ends = _stack(
            panel, [[_tier(view, metric, name, t, labels) * scale for name in order] for t in (*TIERS, "total")]
        )
        rate = next((f.labels["rate"] for f in view.figures(metric, **labels) if "rate" in f.labels), "")
        panel.set_title(f"{what}\n{number(float(rate))} requests/s" if rate else f"{what}\n", fontsize="small")
        rows(panel, [view.named(name) for name in order])
        panel.xaxis.set_major_locator(MaxNLocator(2))
        longest = max([longest, *ends])
    for panel in drawn:
        panel.set_xlim(0, 1.35 * longest or 1.0)
    drawn[len(drawn) // 2].set_xlabel("cores per 1,000 requests/s")
    legend_above(drawn)


def _tier(view: View, metric: str, name: str, tier: str, labels: dict[str, str]) -> float:
    figure = view.one(metric, name, tier=tier, **labels)
    return max(0.0, figure.value) if figure else 0.0


def _stack(axes: Axes, tiers: Sequence[Sequence[float]]) -> list[float]:
    """Draw one bar per strategy from the values of each tier, the last of which is the total; return the totals."""
    *parts, totals = tiers
    left = [0.0] * len(totals)
    for values, (tier, tint) in zip(parts, TIERS.items(), strict=True):
        if max(values, default=0.0) > SMALLEST_SHOWN * max(totals, default=1.0):
            axes.barh(range(len(values)), values, left=left, color=tint, label=tier, height=0.62)
        left = [start + value for start, value in zip(left, values, strict=True)]
    for place, total in enumerate(totals):
        axes.annotate(
            number(total), (left[place], place), (3, 0), textcoords="offset points", va="center", fontsize="x-small"
        )
    return left


EXTRA = Plot(
    "extra",
    "cpu_difference",
    "What the login state costs per request",
    "Extra CPU per request, compared within each round with a page without login. Thick line: 95 % interval. Thin "
    "line: the interval that holds for all comparisons simultaneously. Blue: sessions; orange: tokens. A difference "
    "within the grey band means nothing: the null test found as much for the same code.",
    draw_extra,
    2.6,
    0.3,
    summary=True,
)
TRADEOFF = Plot(
    "tradeoff",
    "cpu_difference",
    "What you pay, and what you get for it",
    "Down and to the left is better. The dashed line joins the strategies that no other one beats in both. Hollow "
    "points were not measured, but follow from the settings.",
    draw_tradeoff,
    3.4,
    0.1,
    also=("users_lost", "revocation_ms"),
    summary=True,
)
BILL = Plot(
    "bill",
    "cpu_per_request",
    "The bill by tier, saturated and at your traffic",
    "Cores that each tier needs for 1,000 requests/s, on one scale. A busy server handles several requests each time "
    "it wakes up. One that is mostly idle wakes up for each of them, so the same request costs more there.",
    draw_bill,
    2.9,
    0.25,
)
