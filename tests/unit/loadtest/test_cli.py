"""The command line: its output and its exit statuses."""

import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from loadtest import cli, session
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import REPOSITORY
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import INTERRUPTED
from loadtest.experiments.experiment import Experiment
from loadtest.experiments.footprint.plan import Plan as FootprintPlan
from loadtest.experiments.revocation.endings import Plan as RevocationPlan
from loadtest.load.children import GeneratorError
from loadtest.progress import left
from loadtest.results.model import Figure, Results, ResultsError, Verdict
from tests.unit.loadtest.fakes import results

COMMANDS = cli.cli.commands


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli.cli, arguments)


def status(*arguments: str) -> object:
    """Return the exit status of a command."""
    done = CliRunner().invoke(cli.cli, arguments, standalone_mode=False)
    return done.exception.exit_code if isinstance(done.exception, click.ClickException) else done.return_value


def test_help_shows_whole_summaries_within_80_columns() -> None:
    text = invoke("--help").output
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.get_short_help_str()}" in words
        assert command.get_short_help_str().endswith((".", "?"))
    assert "..." not in text.partition("Commands:")[2]


def test_help_states_every_exit_status() -> None:
    codes = {session.OK, cli.ERROR, cli.NOT_COMPARABLE, cli.WORSE, session.WITHDRAWN, cli.INTERRUPTED}
    assert {int(code) for code in re.findall(r"(\d+) [a-z]", cli.CODES)} == codes
    assert (session.FAILED, session.CTRL_C) == (cli.ERROR, cli.INTERRUPTED)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80
    assert all(option.help for option in COMMANDS[command].params if isinstance(option, click.Option))


def test_list_says_how_long_each_experiment_takes() -> None:
    command = [sys.executable, "-m", "loadtest", "list"]
    environment = os.environ | {"COLUMNS": "80"}
    text = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout
    assert max(map(len, text.splitlines())) <= 80
    for experiment in EXPERIMENTS:
        row = next(line for line in text.splitlines() if line.split()[1:2] == [experiment.name])
        assert f"{experiment.seconds[0]} s" in row
        assert f"{experiment.seconds[1]} s" in row


def test_an_unknown_experiment_is_refused_with_a_list_of_the_known_ones() -> None:
    done = invoke("run", "nonsense")
    assert done.exit_code == 2
    assert "There is no experiment nonsense. Choose from: correctness" in done.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sessions=5", "say EXPERIMENT.NAME=VALUE"),
        ("cost.rounds_direct=5", "of an experiment that you run"),
        ("footprint.sessions", "say EXPERIMENT.NAME=VALUE"),
        ("footprint.session=5", "footprint has no session. Choose from: steps, warm_up, sessions"),
        ("footprint.sessions=many", "malformed"),
        ("footprint.sessions=1.5", "Expected `int`, got `float`"),
        ("footprint.sessions=-1", "must not be negative"),
    ],
)
def test_a_plan_that_cannot_be_changed_like_that_is_refused(change: str, said: str) -> None:
    done = invoke("run", "footprint", "--plan", change)
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")


def test_a_run_measures_by_the_plan_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Experiment] = []

    def measured(_: object, experiments: Sequence[Experiment], **options: object) -> Results:
        asked.extend(experiments)
        return results()

    monkeypatch.setattr("loadtest.cli.measured", measured)
    more = ("--plan", "footprint.sessions=100000", "--plan", "revocation.lives=[1,2]")
    assert invoke("run", "footprint", "revocation", *more).exit_code == 0
    first, second = (experiment.plan(full=False) for experiment in asked)
    assert (first, second) == (FootprintPlan(sessions=100_000), RevocationPlan(lives=(1, 2)))
    assert "sessions=100000" in repr(asked[0].plan(full=True))


def written(directory: Path, run: Results) -> str:
    run.write(directory)
    return str(directory)


def test_the_exit_status_of_diff_says_what_it_found(tmp_path: Path) -> None:
    def run(rate: float) -> Results:
        return results(Figure("throughput", "jwt", "throughput", "requests/s", rate, rate - 9, rate + 9, 12))

    fast, slow = written(tmp_path / "fast", run(1000)), written(tmp_path / "slow", run(500))
    elsewhere = run(1000)
    elsewhere.host["cpu"] = "another CPU"
    other = written(tmp_path / "other", elsewhere)
    assert status("diff", fast, fast) == 0
    assert status("diff", slow, fast) == 0  # better
    assert status("diff", fast, slow) == 3
    assert status("diff", fast, other) == 2
    assert status("diff", f"{fast}/results.json", fast) == 0


def test_diff_refuses_files_that_are_not_results(tmp_path: Path) -> None:
    good = written(tmp_path / "good", results())
    (tmp_path / "results.json").write_text('{"schema_version": 1}')
    done = invoke("diff", good, str(tmp_path))
    assert done.exit_code == 2
    assert "schema_version 1" in done.output
    assert "Traceback" not in done.output


def test_diff_as_json_has_every_comparison(tmp_path: Path) -> None:
    directory = written(tmp_path, results(Figure("throughput", "jwt", "throughput", "requests/s", 9, 8, 10, 12)))
    (change,) = json.loads(invoke("diff", directory, directory, "--json").output)["changes"]
    assert (change["strategy"], change["word"], change["change"]) == ("jwt", "same", 1.0)


def test_report_recomputes_figures_from_rows(tmp_path: Path) -> None:
    run = results(jwt="token")
    rows = [
        {"round": number, "strategy": "jwt", "logins": 4, "seconds": 2.0, "cpu_auth": 0.1, "cpu_app": 0.1}
        for number in range(3)
    ]
    run.rounds = {"login": [dict(row) for row in rows]}
    run.figures = [Figure("login", "jwt", "logins_per_second", "logins/s", 99)]
    run.write(tmp_path)
    done = invoke("report", str(tmp_path))
    assert done.exit_code == 0, done.output
    figures = {(f.metric, f.labels.get("tier")): f.value for f in Results.read(tmp_path / "results.json").figures}
    assert figures["logins_per_second", None] == 2
    assert figures["cpu_per_login", "total"] == pytest.approx(50_000)
    assert "50 ms" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (lambda run: run, 0, ""),
        (
            lambda run: replace(run, complete=False, ended_by=INTERRUPTED),
            130,
            "ended early: interrupted at the keyboard",
        ),
        (lambda run: replace(run, complete=False, ended_by="[it] died"), 1, "ended early: [it] died"),
        (lambda run: replace(run, verdicts=[Verdict("C7", "", "", "", "null_test")]), 4, "withdrawn (null_test)"),
    ],
)
def test_the_exit_status_says_whether_the_run_can_be_used(
    change: Callable[[Results], Results], status: int, said: str
) -> None:
    output = io.StringIO()
    assert session.exit_code(change(results()), Console(width=80, file=output)) == status
    assert said in " ".join(output.getvalue().split())


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ClusterError("[app-1] is gone"), 1, "error: [app-1] is gone"),
        (GeneratorError("it fell over"), 1, "error: it fell over"),
        (ResultsError("cut off"), 1, "error: cut off"),
        (OSError(errno.ENOSPC, "No space left on device", "/reports/results.json"), 1,
         "error: /reports/results.json: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted; everything that this command started has stopped"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_expected_errors_are_one_clear_line(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    monkeypatch.setattr(cli, "console", Console(width=80))
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == status
    output = capsys.readouterr().out
    assert said in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "less than a minute"), (40, "less than a minute"), (60, "about 1 min"), (290, "about 5 min")],
)
def test_remaining_time_is_shown_in_minutes(seconds: float, said: str) -> None:
    assert left(seconds) == said
