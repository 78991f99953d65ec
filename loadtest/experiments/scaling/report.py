"""What the report says of more replicas."""

from collections.abc import Iterator

from loadtest.report.drawing import Axes, colour, dots, highest, panels
from loadtest.results.numbers import listed, with_interval
from loadtest.results.view import View


def sentences(view: View) -> Iterator[str]:
    """What a request costs with all replicas instead of one."""
    found = [(name, view.figures("scaling_ratio", name)) for name in view.strategies("scaling_ratio")]
    if found:
        most = found[0][1][-1].labels["replicas"]
        parts = listed([f"{view.named(name)} {with_interval(ratios[-1])}" for name, ratios in found])
        yield f"CPU per request of all tiers with {most} replicas, as a ratio to that with one: {parts}."


def draw(axes: Axes, view: View) -> None:
    """A panel for each strategy: CPU per request by the number of replicas."""
    names = view.strategies("scaling_cpu")
    for panel, name in zip(panels(axes, len(names)), names, strict=True):
        figures = view.figures("scaling_cpu", name)
        dots(panel, figures, [f.labels["replicas"] for f in figures], [colour(view, name)] * len(figures))
        panel.set_xlim(0, 1.45 * highest(figures))
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel(view.named(name), fontsize="small")
