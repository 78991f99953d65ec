"""What else is paid for: logins, refreshes, introspections, and the algorithm of tokens."""

from collections.abc import Mapping
from functools import partial

from matplotlib.axes import Axes

from loadtest.report.plots.style import BLUE, GREEN, TIERS, dots, errors, highest, legend, panels, rows, values_beside
from loadtest.results.model import Figure
from loadtest.results.numbers import amount
from loadtest.results.view import View

SMALLEST_SHOWN = 0.002


def draw_logins(axes: Axes, view: View) -> None:
    """Stacked bars by tier: CPU per login."""
    names = view.strategies("cpu_per_login", tier="total")
    _bars(axes, view, {view.named(name): ("cpu_per_login", name) for name in names})
    axes.set_xlabel("CPU per login, all tiers")


def draw_tokens(axes: Axes, view: View) -> None:
    """The same for a page, a refresh and an introspection, of the strategy that was asked about."""
    (name,) = view.strategies("cpu_per_refresh", tier="total")[:1]
    bars = {"page": "cpu_per_request", "refresh": "cpu_per_refresh", "introspection": "cpu_per_introspection"}
    _bars(axes, view, {bar: (metric, name) for bar, metric in bars.items() if view.figures(metric, name)})
    axes.set_xlabel(f"CPU per call of {view.named(name)}, all tiers")


def _bars(axes: Axes, view: View, bars: Mapping[str, tuple[str, str]]) -> None:
    """Draw one bar per label of *bars* from the figures of its metric and strategy; the interval is the total's."""
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


def draw_algorithms(axes: Axes, view: View) -> None:
    """Two panels: CPU per page whose token is verified, and the size of a token, by algorithm."""
    pages, sizes = view.figures("verify_page_cpu"), view.figures("token_size")
    shown = [(found, what, tint) for found, what, tint in (
        (pages, "CPU per page, token verified", BLUE), (sizes, "size of a token", GREEN)) if found]  # fmt: skip
    for panel, (figures, what, tint) in zip(panels(axes, len(shown)), shown, strict=True):
        dots(panel, figures, [f.labels["algorithm"] for f in figures], [tint] * len(figures))
        panel.set_xlim(0, 1.4 * highest(figures))
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel(what)
