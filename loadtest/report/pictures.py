"""Plots as files: inline SVG that takes the reader's text colour, and one PNG for the README."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from loadtest.report.plots import (
    INK,
    draw_algorithms,
    draw_cpu,
    draw_latency,
    draw_survival,
    draw_throughput,
    draw_tokens,
)
from loadtest.view import View


@dataclass(frozen=True)
class Plot:
    """One picture: *metric* must be there; *text* is for those who cannot see it and for the caption.

    *height* (inches) is for four strategies; *more* is added for each further one.
    """

    name: str
    metric: str
    title: str
    text: str
    draw: Callable[[Axes, View], None]
    height: float = 2.9
    more: float = 0.0

    def inches(self, view: View) -> float:
        """Return how high the picture of *view* is."""
        return self.height + self.more * max(0, len(view.strategies(self.metric)) - 4)


PLOTS = (
    Plot("cpu", "cpu_per_request", "CPU per request, by tier",
         "Stacked bars: CPU time that each server tier spends on one request, per strategy. Less is better. "
         "The whisker is the 95 % interval of the total.", draw_cpu, more=0.35),
    Plot("survival", "users_lost", "Who is logged out",
         "Share of users who got a 401 after one replica was killed, and without any fault when affinity is forgotten. "
         "The dashed line is what state in one replica predicts.", draw_survival, 3.4),
    Plot("throughput", "throughput", "Requests per second, closed loop",
         "Bars: requests per second of each strategy on this machine, the load generator included. More is better.",
         draw_throughput, 2.5, 0.3),
    Plot("latency", "latency", "Latency at the same rate for all, open loop",
         "Percentiles of latency per strategy on a logarithmic scale, counted from when each request should have "
         "started. Less is better.", draw_latency, 3.4),
    Plot("login", "cpu_per_login", "CPU per login, by tier",
         "Stacked bars: CPU time that each server tier spends on one login, per strategy. Less is better.",
         partial(draw_cpu, metric="cpu_per_login"), more=0.35),
    Plot("tokens", "cpu_per_refresh", "CPU per refresh and per introspection, beside my page",
         "Stacked bars: CPU time that each server tier spends on one page with an access token, on one refresh, and on "
         "one introspection. Less is better.", draw_tokens, 2.5),
    Plot("algorithms", "token_size", "Signature algorithms of tokens",
         "Bars: CPU time of one process to sign an access token, CPU time to verify one, and its size in bytes, per "
         "algorithm. The narrow bars are the signature check within the verification. Less is better.",
         draw_algorithms, 2.5),
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A plot of a view, ready for a page."""

    plot: Plot
    svg: Markup


def pictures(view: View) -> list[Picture]:
    """Draw every plot that *view* has figures for."""
    return [Picture(plot, _svg(plot, view)) for plot in PLOTS if view.figures(plot.metric)]


def write_summary(view: View, path: Path) -> None:
    """Write the first plots side by side as a PNG on white."""
    shown = [plot for plot in PLOTS[:2] if view.figures(plot.metric)]
    if not shown:
        return
    with _style("#222222"):
        canvas = Canvas(
            figsize=(5.6 * len(shown), max(3.4, *(plot.inches(view) for plot in shown))),
            layout="constrained",
            facecolor="white",
        )
        for axes, plot in zip(canvas.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            plot.draw(axes, view)
            axes.set_title(plot.title, fontweight="bold", pad=26)
        canvas.savefig(path, dpi=160)


def _svg(plot: Plot, view: View) -> Markup:
    with _style(INK), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": plot.name}):
        canvas = Canvas(figsize=(7.6, plot.inches(view)), layout="constrained")
        plot.draw(canvas.subplots(), view)
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    picture = file.getvalue()
    picture = picture[picture.index("<svg") :].replace(INK, "currentColor")
    picture = re.sub(r' (width|height)="[0-9.]+pt"', "", picture, count=2)
    # Several pictures share one page: their ids must not meet.
    picture = re.sub(r'((?: id="|url\(#|href="#))', rf"\g<1>{plot.name}-", picture)
    label = f'<svg role="img" aria-labelledby="{plot.name}-title {plot.name}-text"'
    picture = picture.replace("<svg", label, 1)
    return Markup(picture)  # noqa: S704 - matplotlib escapes every text that it writes into an SVG


@contextmanager
def _style(ink: str) -> Iterator[None]:
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: dict[Any, Any] = dict.fromkeys(inked, ink)
    style |= {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        # A strategy's name is text, whatever it contains; "$" would start a formula.
        "text.parse_math": False,
    }
    with mpl.rc_context(style):
        yield
