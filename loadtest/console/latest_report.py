"""What the last report on this machine answered."""

from dataclasses import dataclass
from pathlib import Path

from loadtest.report.answer import answer
from loadtest.results.model import Results, ResultsError
from loadtest.results.view import View


@dataclass(frozen=True)
class LatestReport:
    """The answer of the report at *page*, of the day *date*."""

    page: Path
    date: str
    headline: str


def latest_report(directory: Path) -> LatestReport | None:
    """Return the report in *directory*, if there is one that this version can read."""
    page = directory / "report.html"
    try:
        results = Results.read(directory / "results.json")
    except (OSError, ResultsError):
        return None
    return LatestReport(page, str(results.host["date"])[:10], answer(View(results)).headline) if page.exists() else None
