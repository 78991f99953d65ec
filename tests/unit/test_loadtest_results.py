"""Results survive being written and read."""

import csv
import json
from pathlib import Path

import pytest

from loadtest.results import Figure, Results


def test_results_survive_a_round_trip(tmp_path: Path) -> None:
    figures = [
        Figure("throughput", "jwt", "latency", "us", 1.5, 1.0, 2.0, 9, {"percentile": "p99"}),
        Figure("survival", "é|<b>", "http_5xx", "count", 0),
    ]
    results = Results({"cpu": "x"}, {"nginx": "1"}, {"seed": 3}, figures, [{"rule": "r", "message": "m"}])
    results.write(tmp_path)
    assert Results.read(tmp_path / "results.json") == results


def test_the_csv_has_a_row_per_figure(tmp_path: Path) -> None:
    Results({}, {}, {}, [Figure("e", "s", "m", "us", 1.0, labels={"tier": "app", "a": "b"})]).write(tmp_path)
    (row,) = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert row["labels"] == "tier=app;a=b"
    assert row["ci_low"] == ""


@pytest.mark.parametrize("content", [{"schema_version": 99}, {}, []])
def test_other_files_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="schema_version"):
        Results.read(path)
