"""The report: reads `results.json` and nothing else, writes `report.html`, `report.md` and `summary.png` beside it."""

from collections.abc import Iterable
from pathlib import Path

from loadtest.report.section import Section


def write_report(directory: Path, sections: Iterable[Section]) -> Path:
    """Write the report on `results.json` in *directory*: see `loadtest.report.render.write_report`."""
    from loadtest.report import render  # matplotlib takes a second to load: `up` and `status` need not wait for it

    return render.write_report(directory, sections)
