"""The report: reads `results.json` and nothing else, writes `report.html`, `report.md` and `summary.png` beside it."""

from loadtest.report.render import write_report

__all__ = ["write_report"]
