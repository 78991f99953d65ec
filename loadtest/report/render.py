"""Results in, pages out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from loadtest.report.answer import answer
from loadtest.report.matrix import matrix
from loadtest.report.overview import rows
from loadtest.report.pictures import pictures, write_summary
from loadtest.report.plot import Plot
from loadtest.report.section import Section
from loadtest.report.trust import trust
from loadtest.results import numbers
from loadtest.results.model import Figure, Results
from loadtest.results.view import View
from loadtest.results.whole_files import write_whole
from loadtest.verdicts.promises import PROMISES

TEXTBOOK = {promise.name: promise.textbook for promise in PROMISES}


@dataclass(frozen=True)
class Table:
    """All figures of one metric."""

    experiment: str
    metric: str
    rows: tuple[Figure, ...]


def write_report(directory: Path, sections: Iterable[Section]) -> Path:
    """Read `results.json` in *directory*, write the report beside it, and return the path of `report.html`.

    Raises `ResultsError` or `OSError` if there are no results that this version can read.
    """
    view = View(Results.read(directory / "results.json"))
    page, sections = directory / "report.html", list(sections)
    write_whole(page, render(view, "report.html", sections))
    write_whole(directory / "report.md", render(view, "report.md", sections))
    write_summary(view, _plots(sections), directory / "summary.png")
    return page


def _plots(sections: Iterable[Section]) -> list[Plot]:
    return [plot for section in sections for plot in section.plots]


def render(view: View, template: str, sections: Sequence[Section]) -> str:
    """Return the page that *template* renders from *view* and *sections*."""
    found = answer(view)
    environment = _environment(template)
    environment.filters["who"] = lambda f: f.strategy if "algorithm" in f.labels else view.named(f.strategy)
    return environment.get_template(f"{template}.j2").render(
        results=view.results,
        answer=found,
        trust=trust(view),
        overview=rows(view, found.strategies),
        matrix=matrix(view),
        comparisons=[table for section in sections for table in section.tables(view)],
        findings=[sentence for section in sections for sentence in section.sentences(view)],
        method=[sentence for section in sections for sentence in section.method],
        algorithm=view.results.config["settings"].get("AUTH_ALGORITHM", ""),
        promises=[row for row in view.results.verdicts if row.claim in TEXTBOOK],
        textbook=TEXTBOOK,
        verdicts=[row for row in view.results.verdicts if row.claim not in TEXTBOOK],
        pictures=pictures(view, _plots(sections)) if template.endswith(".html") else [],
        tables=tables(view.results.figures),
        conditions=list(conditions(view.results)),
    )


def conditions(results: Results) -> Iterator[tuple[str, object]]:
    """Yield what the run was configured with, and on which machine and with which binaries it ran."""
    for part in (results.config, results.host, results.binaries):
        for key, value in part.items():
            if not isinstance(value, Mapping):
                yield key, value
                continue
            for name, one in value.items():
                if isinstance(one, Mapping):  # a strategy
                    able = ", ".join(one["capabilities"]) or "none"
                    one = f"{one['description']}. Capabilities: {able}."
                yield f"{key}: {name}", one


def tables(figures: Iterable[Figure]) -> list[Table]:
    """Group figures by experiment and metric, in their own order."""
    order: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        order.setdefault((figure.experiment, figure.metric), []).append(figure)
    return [Table(experiment, metric, tuple(rows)) for (experiment, metric), rows in order.items()]


def _environment(template: str) -> Environment:
    html = template.endswith(".html")
    environment = Environment(
        loader=PackageLoader("loadtest.report"),
        autoescape=html,  # noqa: S701 - Markdown has an escape of its own
        finalize=None if html else markdown_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"amount": lambda f: numbers.amount(f.value, f.unit), "interval": numbers.interval}
    environment.filters["said"] = lambda v: f"withdrawn ({v.withdrawn_by})" if v.withdrawn_by else v.verdict
    environment.filters["labels"] = lambda f: ", ".join(f"{k} {v}" for k, v in sorted(f.labels.items()))
    return environment


def markdown_text(value: object) -> object:
    """Return *value* escaped so that Markdown shows it as plain text in one table cell."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*[]|":
        text = text.replace(sign, "\\" + sign)
    return text
