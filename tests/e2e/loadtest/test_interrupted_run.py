"""An interrupted run on its own cluster keeps what it has measured and leaves nothing running."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loadtest.cluster import processes
from loadtest.cluster.topology import REPOSITORY
from loadtest.results.model import Results

pytestmark = pytest.mark.e2e

# A job that a shell script starts with `&`: SIGINT is ignored, and yet both SIGINT and SIGTERM must end the run.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
# Three strategies have three Locust processes to end, and start in half the time that all of them take.
PROGRAM = """
import pathlib, sys
from loadtest import cli, session
from loadtest.experiments import compare

async def three(url, all_of_them=compare.strategies_of):
    return [one for one in await all_of_them(url) if one.name in ("anonymous", "memory", "jwt")]

session.REPORTS = pathlib.Path(sys.argv.pop(1))
compare.strategies_of = three
cli.main()
"""


def _ctrl_c(run: subprocess.Popen[str], state: Path) -> None:
    """As the terminal sends it: to the whole foreground, load generators included."""
    os.killpg(run.pid, signal.SIGINT)


def _terminate(run: subprocess.Popen[str], state: Path) -> None:
    run.send_signal(signal.SIGTERM)


def _cluster_dies(run: subprocess.Popen[str], state: Path) -> None:
    for process in processes.leftovers(state):
        process.kill()


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [(_ctrl_c, 130, "interrupted at the keyboard"), (_terminate, 130, "interrupted"), (_cluster_dies, 1, "")],
)
def test_an_interrupted_run_keeps_its_results_and_leaves_no_process(
    tmp_path_factory: pytest.TempPathFactory,
    end: Callable[[subprocess.Popen[str], Path], None],
    status: int,
    reason: str,
) -> None:
    directory = tmp_path_factory.mktemp("i")  # a short path: there is a UNIX socket below it
    state, reports = directory / "s", directory / "reports"
    command = [*IN_BACKGROUND, sys.executable, "-c", PROGRAM, str(reports), "run", "--full", "throughput", "login"]
    environment = os.environ | {
        "STATE_DIR": str(state), "APP_REPLICAS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "80"
    }  # fmt: skip
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        lines = []
        for line in run.stdout:
            lines.append(line)
            if line.strip() == "closed loop: requests/s":
                end(run, state)
                break
        rest = run.stdout.read()
        assert run.wait(60) == status, "".join(lines) + rest
    assert "Traceback" not in rest
    assert "The run ended early" in rest
    assert processes.leftovers(state) == []
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    (found,) = reports.iterdir()
    results = Results.read(found / "results.json")
    assert not results.complete
    assert reason in results.ended_by
    assert results.rounds["correctness"]
    assert "login" not in results.rounds
    assert "ended early" in (found / "report.html").read_text()
