"""What the report takes from each experiment."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from loadtest.report.plot import Plot
from loadtest.results.view import View


@dataclass(frozen=True)
class Table:
    """A table of a section. *text* says how to read it, *head* names the columns, and *rows* start with their names."""

    title: str
    text: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(Protocol):
    """An experiment as the report sees it: its pictures and tables, what it found, and how it measured."""

    @property
    def plots(self) -> tuple[Plot, ...]:
        """Drawn in this order, those that there are figures for."""

    @property
    def tables(self) -> Callable[[View], Iterable[Table]]:
        """Tables of its figures: without a figure, none."""

    @property
    def sentences(self) -> Callable[[View], Iterable[str]]:
        """What else its figures say: without a figure, nothing."""

    @property
    def method(self) -> tuple[str, ...]:
        """How it measures, for readers of the report."""
