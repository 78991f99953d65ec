"""Tables for the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.differences import Change, Difference
from loadtest.numbers import amount, number

HEADLINE = {"path": "nginx", "tier": "total"}
COLOURS = {"same": "", "better": "green", "worse": "bold red"}


def difference_table(found: Difference) -> RenderableType:
    """Return what changed, beside the headline ratios, and why something is not compared."""
    lines: list[RenderableType] = [Text(f"not comparable: {why}", style="yellow") for why in found.obstacles]
    lines += [Text(f"note: {note}", style="dim") for note in found.notes]
    shown = [change for change in found.changes if change.word != "same" or _is_headline(change)]
    if shown:
        lines.append(_table(shown))
    if found.changes:
        rest = sum(change.word == "same" for change in found.changes)
        lines.append(Text(f"{rest} of {len(found.changes)} figures did not change by more than noise."))
    else:
        lines.append(Text("Nothing was compared."))
    return Group(*lines)


def _is_headline(change: Change) -> bool:
    return change.metric == "cpu_ratio" and HEADLINE.items() <= change.labels.items()


def _table(changes: list[Change]) -> Table:
    table = Table("strategy", "figure", "A", "B", "change")
    for change in changes:
        figure = " ".join([change.metric, *(v for k, v in change.labels.items() if k not in ("rate", "loop", "fault"))])
        values = (amount(value, change.unit) for value in (change.a, change.b))
        table.add_row(change.strategy, figure, *values, _said(change), style=COLOURS[change.word])
    return table


def _said(change: Change) -> str:
    """Return `+12 % (+8 to +16): worse`."""
    ends = [100 * (end - 1) if change.relative else end for end in (change.change, change.low, change.high)]
    middle, low, high = (f"{'+' if end > 0 else ''}{number(round(end, 1))}" for end in ends)
    said = f"{middle} {'%' if change.relative else change.unit} ({low} to {high})"
    return said if change.word == "same" else f"{said}: {change.word}"
