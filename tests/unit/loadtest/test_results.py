"""Results survive a round trip; incomplete or foreign files are refused with one line that says what to do."""

import csv
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.results.model import Figure, Results, ResultsError, Verdict
from loadtest.results.whole_files import write_whole
from tests.unit.loadtest import fakes as loadtest_fakes


def whole() -> Results:
    """Results with something in every field."""
    found = loadtest_fakes.results(
        Figure("traffic", "jwt", "latency", "us", 1.5, 1.0, 2.0, 9, {"percentile": "p99"}),
        Figure("survival", "é|<b>", "http_5xx", "count", 0),
        jwt="token",
    )
    found.rounds = {"login": [{"round": 0, "strategy": "jwt", "seconds": 0.1 + 0.2}]}
    found.warnings = [{"rule": "r", "message": "m"}]
    found.verdicts = [Verdict("C4", "text", "figures", "verdict", "null_test")]
    return found


def test_results_survive_a_round_trip(tmp_path: Path) -> None:
    whole().write(tmp_path)
    assert Results.read(tmp_path / "results.json") == whole()


def test_numpy_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    found = whole()
    found.rounds["login"][0]["seconds"] = np.float64(0.1) + 0.2
    found.write(tmp_path)
    assert Results.read(tmp_path / "results.json") == whole()


def test_the_csv_has_a_row_per_figure(tmp_path: Path) -> None:
    whole().write(tmp_path)
    row, _ = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert row["labels"] == "percentile=p99"
    assert row["ci_low"] == "1.0"


def _without(*path: str) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return edit


def _with(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update({key: value})


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_without("figures"), "missing required field `figures`"),
        (_without("rounds"), "missing required field `rounds`"),
        (_without("verdicts"), "missing required field `verdicts`"),
        (_without("config", "seed"), "missing required field `seed`"),
        (_without("schema_version"), "missing required field `schema_version`"),
        (_with("figures", [{"experiment": "e"}]), "missing required field `strategy`"),
        (_with("figures", "none"), "Expected `array`"),
        (_with("rounds", {"cost": []}), "Expected `object`"),
        (_with("rounds", {"cost": {"columns": [["round"]], "rows": [[0, 1, 2]]}}), "does not fit its columns"),
        (_with("rounds", {"cost": {"columns": [["round"]], "rows": [[1, 1]]}}), "does not fit its columns"),
        (_with("complete", "yes"), "Expected `bool`"),
    ],
)
def test_an_edited_file_is_refused(tmp_path: Path, edit: Callable[[dict[str, Any]], None], said: str) -> None:
    whole().write(tmp_path)
    path = tmp_path / "results.json"
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ResultsError) as error:
        Results.read(path)
    message = str(error.value)
    assert str(path) in message
    assert said in message
    assert "restore it from a copy, or measure again" in message
    assert "\n" not in message


DEEP = b'{"schema_version": 3, "a": ' + b"[" * 100_000


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"3", b"\xff\xfe", b'"\xff"', b"<html>", DEEP])
def test_anything_but_an_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ResultsError, match="measure again"):
        Results.read(tmp_path / "results.json")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole().write(tmp_path)
    path = tmp_path / "results.json"
    content = path.read_bytes().rstrip()
    for end in range(0, len(content), 37):
        path.write_bytes(content[:end])
        with pytest.raises(ResultsError, match="measure again"):
            Results.read(path)


@pytest.mark.parametrize("version", [1, 2, 99])
def test_another_schema_version_is_refused_with_its_number(tmp_path: Path, version: int) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"schema_version": version}))
    with pytest.raises(ResultsError, match=f"schema_version {version}.*reads 3"):
        Results.read(tmp_path / "results.json")


def test_a_full_disk_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole().write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        loadtest_fakes.results().write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert str(error.value.filename) == str(tmp_path / "results.csv")


def test_an_interruption_while_writing_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "results.json", "half")
    assert list(tmp_path.iterdir()) == []
