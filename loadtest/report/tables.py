"""Tables for the terminal."""

from collections import defaultdict
from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.report.differences import Change, Difference
from loadtest.results.numbers import amount

HEADLINE = {"path": "nginx", "tier": "total"}
WORDS = {
    "cpu_ratio": "CPU over {over} ({tier}, {path})",
    "floor_ratio": "CPU over {over}",
    "users_lost": "users lost per kill (affinity: {affinity})",
    "cpu_per_request": "CPU per request ({tier}, {path})",
    "cores_per_1000": "cores per 1,000 requests/s, {level} traffic",
    "latency": "{percentile} latency, {level} traffic",
    "throughput": "requests/s",
    "cpu_per_login": "CPU per login",
    "cpu_per_refresh": "CPU per refresh",
    "cpu_per_introspection": "CPU per introspection",
    "verify_page_cpu": "CPU per page, {algorithm}",
}
COLOURS = {"same": "", "better": "green", "worse": "bold red"}


def difference_table(found: Difference) -> RenderableType:
    """Return what changed, beside the headline ratios, and why something is not compared."""
    lines: list[RenderableType] = [Text(f"not comparable: {why}", style="yellow") for why in found.obstacles]
    lines += [Text(f"note: {note}", style="dim") for note in found.notes]
    shown = [change for change in found.changes if change.word != "same" or _is_headline(change)]
    lines += _tables(shown)
    if found.changes:
        rest = sum(change.word == "same" for change in found.changes)
        lines.append(Text(f"{rest} of {len(found.changes)} figures did not change by more than noise."))
    else:
        lines.append(Text("Nothing was compared."))
    return Group(*lines)


def _is_headline(change: Change) -> bool:
    return change.metric == "cpu_ratio" and HEADLINE.items() <= change.labels.items()


def _tables(changes: list[Change]) -> Iterator[Table]:
    """Yield a table per figure, a row per strategy."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        figure = WORDS.get(change.metric, change.metric).format_map(defaultdict(str, change.labels))
        groups.setdefault(figure, []).append(change)
    for figure, group in groups.items():
        table = Table("strategy", "A", "B", "change", box=box.SIMPLE_HEAD, title=figure, title_justify="left")
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
