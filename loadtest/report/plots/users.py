"""What users notice: lost logins, latency, and how many of them are served."""

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from loadtest.report.need import KILLED
from loadtest.report.plots.style import (
    BLUE,
    INK,
    ORANGE,
    RED,
    colour,
    dots,
    errors,
    highest,
    legend,
    panels,
    rows,
)
from loadtest.results.model import Figure
from loadtest.results.numbers import number
from loadtest.results.view import View

SERIES = {
    "killed, with affinity": (KILLED, BLUE, -0.17),
    "no fault, affinity forgotten": ({"fault": "none", "affinity": "false"}, ORANGE, 0.17),
}


def draw_survival(axes: Axes, view: View) -> None:
    """Dots with intervals: the users who lost their login, and a small ring for each kill."""
    names = view.strategies("users_lost")
    for label, (labels, tint, offset) in SERIES.items():
        figures = [f for name in names for f in view.figures("users_lost", name, **labels)]
        if figures:
            places = [names.index(f.strategy) + offset for f in figures]
            values = [f.value for f in figures]
            axes.errorbar(values, places, xerr=errors(figures), fmt="o", color=tint, capsize=3, label=label)
    rings = [
        (share, names.index(name) + SERIES["killed, with affinity"][2] - 0.15) for name, share in kills(view, names)
    ]
    if rings:
        across, up = zip(*rings, strict=True)
        axes.plot(across, up, "o", color=INK, markersize=4, fillstyle="none", linestyle="", label="one kill", alpha=0.7)
    if expected := view.one("expected_users_lost"):
        axes.axvline(expected.value, color=RED, linestyle="--", linewidth=1.1, label=f"1 in {view.replicas} users")
    rows(axes, [view.named(name) for name in names])
    axes.set_xlim(-2, 102)
    axes.set_xlabel("% of users logged out")
    legend(axes, 2)


def kills(view: View, names: list[str]) -> list[tuple[str, float]]:
    """Return, for each kill behind affinity, whose users it was and the share that it logged out, in percent."""
    found = []
    for row in view.results.rounds.get("survival", ()):
        users = row["users"] - row["lost_before"]
        if row["affinity"] and row["strategy"] in names and users:
            found.append((row["strategy"], 100 * row["lost_after"] / users))
    return found


ENDS = ("p50", "p99")


def draw_latency(axes: Axes, view: View) -> None:
    """A panel per level of traffic, with a range per strategy: from the median (dot) to the 99th percentile (bar)."""
    levels = [level for level in ("low", "high") if view.figures("latency", level=level)]
    names = view.strategies("latency")
    drawn = panels(axes, len(levels))
    for panel, level in zip(drawn, levels, strict=True):
        for place, name in enumerate(names):
            _range(panel, view, name, level, place)
        rate = view.figures("latency", level=level)[0].labels.get("rate", "0")
        panel.set_title(f"{level} traffic, {number(float(rate))} requests/s", fontsize="small")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel("ms")
        rows(panel, [view.named(name) for name in names])


def _range(axes: Axes, view: View, name: str, level: str, place: int) -> None:
    ends = [view.one("latency", name, level=level, percentile=end) for end in ENDS]
    known = [_ms(figure) for figure in ends if figure]
    tint = colour(view, name)
    if len(known) == len(ENDS):
        axes.plot([f.value for f in known], [place, place], color=tint, linewidth=4, alpha=0.3, solid_capstyle="butt")
    for figure, mark in zip(known, "o|", strict=False):
        axes.errorbar(
            figure.value, place, xerr=errors([figure]), fmt=mark, color=tint, markersize=7 if mark == "o" else 13
        )


def _ms(figure: Figure) -> Figure:
    low, high = (None if end is None else end / 1000 for end in (figure.ci_low, figure.ci_high))
    return Figure(figure.experiment, figure.strategy, figure.metric, "ms", figure.value / 1000, low, high, figure.n)


def draw_throughput(axes: Axes, view: View) -> None:
    """Dots with intervals: requests/s in the closed loop, most first."""
    figures = sorted(view.figures("throughput"), key=lambda figure: -figure.value)
    names = [view.named(figure.strategy) for figure in figures]
    dots(axes, figures, names, [colour(view, figure.strategy) for figure in figures])
    axes.set_xlim(0, 1.15 * highest(figures))
    axes.set_xlabel("requests/s on this machine, load generator included")
