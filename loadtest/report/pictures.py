"""Plots as files: inline SVG that takes the reader's text colour, and one PNG for the README."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from loadtest.report.plots import calls, cost, users
from loadtest.report.plots.style import INK
from loadtest.view import View

WIDTH = 4.9
"""Inches: narrow enough for a plot's text to be readable on a phone."""


@dataclass(frozen=True)
class Plot:
    """One picture, drawn if *metric* was measured. *text* is the caption, and the description for screen readers.

    *height* (inches) is for four rows; *more* is added for each further strategy.
    """

    name: str
    metric: str
    title: str
    text: str
    draw: Callable[[Axes, View], None]
    height: float = 2.7
    more: float = 0.0

    def inches(self, view: View) -> float:
        """Return the height of the picture of *view*."""
        return self.height + self.more * max(0, len(view.strategies(self.metric)) - 4)


PLOTS = (
    Plot("extra", "cpu_difference", "What the login state costs per request",
         "Extra CPU per request, compared within each round with a page without login. Thick line: 95 % interval. Thin "
         "line: the interval that holds for all comparisons simultaneously. Blue: sessions; orange: tokens. A "
         "difference within the grey band means nothing: the null test found as much for the same code.",
         cost.draw_extra, 2.6, 0.3),
    Plot("tradeoff", "cpu_difference", "What you pay, and what you get for it",
         "Down and to the left is better. The dashed line joins the strategies that no other one beats in both. Hollow "
         "points were not measured, but follow from the settings.", cost.draw_tradeoff, 3.4, 0.1),
    Plot("bill", "cpu_per_request", "The bill by tier, saturated and at your traffic",
         "Cores that each tier needs for 1,000 requests/s, on one scale. A busy server handles several requests each "
         "time it wakes up. One that is mostly idle wakes up for each of them, so the same request costs more there.",
         cost.draw_bill, 2.9, 0.25),
    Plot("survival", "users_lost", "Who is logged out",
         "Mean share of users who lost their login, with 95 % intervals; each ring is one kill. The dashed line is "
         "the loss to expect if each login is kept by one replica. Few kills say little, so intervals are wide.",
         users.draw_survival, 3.0, 0.35),
    Plot("latency", "latency", "Latency at the same rate for all",
         "From the median (dot) to the 99th percentile (bar), counted from when each request should have started. Thin "
         "lines are 95 % intervals. Further left is better. Where there is no bar, there were too few answers "
         "for that percentile.", users.draw_latency, 2.6, 0.25),
    Plot("throughput", "throughput", "How many requests are served",
         "Requests per second of users who send the next request as soon as they have an answer, with 95 % intervals. "
         "More is better. The load generator shares the machine; without it, the servers could serve more.",
         users.draw_throughput, 2.4, 0.27),
    Plot("login", "cpu_per_login", "CPU per login",
         "CPU that each tier spends on one login. Most of it is the password check, which is slow on "
         "purpose.", calls.draw_logins, 2.5, 0.27),
    Plot("tokens", "cpu_per_refresh", "CPU per refresh and per introspection",
         "CPU of one refresh and of one introspection, next to a page that is requested with an access token.",
         calls.draw_tokens, 2.4),
    Plot("algorithms", "verify_page_cpu", "Signature algorithms of tokens",
         "CPU per page at a replica that verifies tokens of each algorithm, and the size of a token. Less is "
         "better.", calls.draw_algorithms, 2.4),
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A plot of a view, ready for a page."""

    plot: Plot
    svg: Markup


def pictures(view: View) -> list[Picture]:
    """Draw every plot that *view* has figures for."""
    return [Picture(plot, _svg(plot, view)) for plot in PLOTS if _shown(plot, view)]


def _shown(plot: Plot, view: View) -> bool:
    """Return whether there is something to draw: the trade-off needs two metrics."""
    other = plot.draw is not cost.draw_tradeoff or view.figures("users_lost") or view.figures("revocation_ms")
    return bool(view.figures(plot.metric) and other)


def write_summary(view: View, path: Path) -> None:
    """Write the first two plots side by side as a PNG on white; nothing if there are no figures."""
    shown = [plot for plot in PLOTS[:2] if _shown(plot, view)]
    if not shown:
        return
    with _style("#222222"):
        size = (6.0 * len(shown), max(plot.inches(view) for plot in shown) + 0.4)
        canvas = Canvas(figsize=size, layout="constrained", facecolor="white")
        for axes, plot in zip(canvas.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            plot.draw(axes, view)
            axes.set_title(plot.title, fontweight="bold", pad=26)
        canvas.savefig(path, dpi=160)


def _svg(plot: Plot, view: View) -> Markup:
    with _style(INK), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": plot.name}):
        canvas = Canvas(figsize=(WIDTH, plot.inches(view)), layout="constrained")
        plot.draw(canvas.subplots(), view)
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    picture = file.getvalue()
    picture = picture[picture.index("<svg") :].replace(INK, "currentColor")
    picture = re.sub(r' (width|height)="[0-9.]+pt"', "", picture, count=2)
    # Several pictures share one page, so their ids must differ.
    picture = re.sub(r'((?: id="|url\(#|href="#))', rf"\g<1>{plot.name}-", picture)
    label = f'<svg role="img" aria-labelledby="{plot.name}-title {plot.name}-text"'
    picture = picture.replace("<svg", label, 1)
    return Markup(picture)  # noqa: S704 - matplotlib escapes every text that it writes into an SVG


@contextmanager
def _style(ink: str) -> Iterator[None]:
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: dict[Any, Any] = dict.fromkeys(inked, ink)
    style |= {
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        # A strategy's name is plain text, even with a "$", which would start a formula.
        "text.parse_math": False,
    }
    with mpl.rc_context(style):
        yield
