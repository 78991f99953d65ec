"""What a plot is: a picture of some figures, and the words that go with it."""

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.report.drawing import Axes
from loadtest.results.view import View


@dataclass(frozen=True)
class Plot:
    """One picture, drawn if *metric* was measured, and one of *also* if those are named.

    *text* is the caption, and the description for screen readers. *height* (inches) is for four rows;
    *more* is added for each further strategy. *summary*: it is one of those in `summary.png`.
    """

    name: str
    metric: str
    title: str
    text: str
    draw: Callable[[Axes, View], None]
    height: float = 2.7
    more: float = 0.0
    also: tuple[str, ...] = ()
    summary: bool = False

    def can_show(self, view: View) -> bool:
        """Return whether there is something to draw."""
        return bool(view.figures(self.metric)) and (not self.also or any(map(view.figures, self.also)))

    def inches(self, view: View) -> float:
        """Return the height of the picture of *view*."""
        return self.height + self.more * max(0, len(view.strategies(self.metric)) - 4)
