"""What the report takes from each experiment."""

from collections.abc import Callable, Iterable
from typing import Protocol

from loadtest.report.plot import Plot
from loadtest.results.view import View


class Section(Protocol):
    """An experiment as the report sees it: its pictures, what it found, and how it measured."""

    @property
    def plots(self) -> tuple[Plot, ...]:
        """Drawn in this order, those that there are figures for."""

    @property
    def sentences(self) -> Callable[[View], Iterable[str]]:
        """What else its figures say: without a figure, nothing."""

    @property
    def method(self) -> tuple[str, ...]:
        """How it measures, for readers of the report."""
