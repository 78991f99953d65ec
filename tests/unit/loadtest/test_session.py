"""What is written and shown after the experiments."""

import io
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtest import session
from loadtest.cluster.local import STATE
from loadtest.progress import Bars
from loadtest.results.model import Results
from tests.unit.loadtest.fakes import FakeCluster, results


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session that measures nothing and returns the given results."""
    cluster = FakeCluster("")
    cluster.directory = tmp_path  # type: ignore[attr-defined] # where a local one keeps its state

    def of(run: Results) -> str:
        async def compare(*_: object, **__: object) -> Results:
            return run

        monkeypatch.setattr(session, "REPORTS", tmp_path / "reports")
        monkeypatch.setattr(session, "compare", compare)
        monkeypatch.setattr(session, "_cluster", lambda **_: nullcontext(cluster))
        output = io.StringIO()
        session.measured(Console(file=output, width=80), [], full=False, seed=1, standing=False)
        return " ".join(output.getvalue().split())

    return of


def test_a_complete_run_is_the_latest(measured: Any, tmp_path: Path) -> None:
    said = measured(replace(results(), warnings=[{"rule": "steal", "message": "the host [took] it"}]))
    assert "steal the host [took] it" in said
    assert "reports/latest points to it" in said
    assert Results.read(tmp_path / "reports/latest/results.json").complete
    assert (tmp_path / "reports/latest/report.html").exists()


def test_an_incomplete_run_is_written_but_is_not_the_latest(measured: Any, tmp_path: Path) -> None:
    said = measured(replace(results(), complete=False, ended_by="it died"))
    assert "latest" not in said
    (directory,) = (tmp_path / "reports").iterdir()
    assert Results.read(directory / "results.json").ended_by == "it died"
    assert "ended early" in (directory / "report.html").read_text()


def bars(*, terminal: bool) -> tuple[AbstractContextManager[Bars], io.StringIO]:
    output = io.StringIO()
    return Bars(Console(file=output, width=80, force_terminal=terminal)), output


def test_the_remaining_time_is_shown_within_80_columns() -> None:
    shown, output = bars(terminal=True)
    with shown as progress:
        progress.expect(290)
        progress.start("logging in the load generator's users", 8)
        progress.advance()
        progress._progress.refresh()
        during = output.getvalue()
    assert "about 5 min left" in during
    assert "1/8" in during
    assert "logging in the load generator's users" in during


def test_on_a_slow_machine_the_remaining_time_grows() -> None:
    now, output = [0.0], io.StringIO()
    with Bars(Console(file=output, width=80, force_terminal=True), lambda: now[0]) as progress:
        progress.expect(300)
        now[0] = 300  # for what should have taken 100
        progress.expect(200)
        progress._progress.refresh()
        assert "about 10 min left" in output.getvalue()


def test_without_a_terminal_each_step_is_one_line() -> None:
    shown, output = bars(terminal=False)
    with shown as progress:
        progress.expect(290)
        progress.start("logins", 8)
        assert output.getvalue().splitlines() == ["logins"]


def test_a_spare_cluster_has_a_short_directory_of_its_own() -> None:
    """It holds a socket, whose whole path must fit into 104 bytes."""
    lives = ("ACCESS_TOKEN_SECONDS", "SESSION_IDLE_SECONDS", "SESSION_ABSOLUTE_SECONDS", "REFRESH_IDLE_SECONDS")
    directories = [
        session.spare_cluster(dict.fromkeys(lives, value)).directory for value in ("2", "http://127.0.0.1:9/x")
    ]
    assert [one.relative_to(STATE / "spare").parts for one in directories] == [
        ("2-2-2-2",), ("-".join(["http-127-0-0-1-9-x"] * 4),)
    ]  # fmt: skip
