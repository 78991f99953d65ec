"""Tables for the terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.report.differences import Change, Difference
from loadtest.results.numbers import amount

COLOURS = {"same": "", "better": "green", "worse": "bold red"}


def difference_table(found: Difference) -> RenderableType:
    """Return what changed, beside the headline ratios, and why something is not compared."""
    lines: list[RenderableType] = [Text(f"not comparable: {why}", style="yellow") for why in found.obstacles]
    lines += [Text(f"note: {note}", style="dim") for note in found.notes]
    shown = [change for change in found.changes if change.word != "same" or change.headline]
    lines += _tables(shown)
    if found.changes:
        rest = sum(change.word == "same" for change in found.changes)
        lines.append(Text(f"{rest} of {len(found.changes)} figures did not change by more than noise."))
    else:
        lines.append(Text("Nothing was compared."))
    return Group(*lines)


def _tables(changes: list[Change]) -> Iterator[Table]:
    """Yield a table per figure, a row per strategy."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.what, []).append(change)
    for what, group in groups.items():
        table = Table("strategy", "A", "B", "change", box=box.SIMPLE_HEAD, title=what, title_justify="left")
        for change in group:
            values = (amount(value, change.unit).removesuffix(" times") for value in (change.a, change.b))
            table.add_row(change.strategy, *values, _said(change), style=COLOURS[change.word])
        yield table


def _said(change: Change) -> str:
    """Return `+12.0 % (+8.1 to +16.0) worse`."""
    ends = [100 * (end - 1) if change.relative else end for end in (change.change, change.low, change.high)]
    middle, low, high = (f"{round(end, 1) + 0.0:+.1f}" for end in ends)
    said = f"{middle} {'%' if change.relative else change.unit} ({low} to {high})"
    return said if change.word == "same" else f"{said} {change.word}"
