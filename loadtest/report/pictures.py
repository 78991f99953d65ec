"""Plots as files: inline SVG that takes the reader's text colour, and one PNG for the README."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from loadtest.report.drawing import INK
from loadtest.report.plot import Plot
from loadtest.results.view import View

WIDTH = 4.9
"""Inches: narrow enough for a plot's text to be readable on a phone."""


@dataclass(frozen=True)
class Picture:
    """A plot of a view, ready for a page."""

    plot: Plot
    svg: Markup


def pictures(view: View, plots: Iterable[Plot]) -> list[Picture]:
    """Draw those of *plots* that *view* has figures for."""
    return [Picture(plot, _svg(plot, view)) for plot in plots if plot.can_show(view)]


def write_summary(view: View, plots: Iterable[Plot], path: Path) -> None:
    """Write the plots of the summary side by side as a PNG on white; nothing if there are no figures."""
    shown = [plot for plot in plots if plot.summary and plot.can_show(view)]
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
