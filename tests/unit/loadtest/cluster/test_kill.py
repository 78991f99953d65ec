"""A kill counts only if the victim died."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.cluster import processes, supervised
from loadtest.cluster.local import LocalCluster
from loadtest.cluster.protocol import ClusterError, FaultError
from loadtest.cluster.supervised import Supervised
from loadtest.cluster.topology import Topology

PROGRAM = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[1]).touch())
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """It writes a file when it is asked to end."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "goodbye")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.stdout.close()
    process.kill()
    process.wait()


class Supervisor:
    """A supervisor with one replica that follows the test's instructions."""

    def __init__(self, pid: int, state: str = "RUNNING") -> None:
        self.info = {"name": "app-1", "group": "app-1", "pid": pid, "statename": state}
        self.stops: Callable[[], None] = lambda: None

    def processes(self) -> list[dict[str, Any]]:
        return [self.info]

    def stop(self, process: object, *, wait: bool) -> None:
        self.stops()


def supervised_by(tmp_path: Path, supervisor: Supervisor) -> Supervised:
    found = Supervised(tmp_path)
    found._supervisor = supervisor  # type: ignore[assignment] # it has what a kill needs
    return found


def test_a_kill_returns_when_the_victim_is_gone(tmp_path: Path, replica: subprocess.Popen[bytes]) -> None:
    supervised_by(tmp_path, Supervisor(replica.pid)).kill("app-1", stay_dead=False)
    assert replica.poll() is not None


def test_a_victim_that_is_to_stay_dead_cannot_say_goodbye(tmp_path: Path, replica: subprocess.Popen[bytes]) -> None:
    """supervisord stops it, so that it does not start it again, while it is paused."""
    supervisor = Supervisor(replica.pid)

    def stop() -> None:
        assert psutil.Process(replica.pid).status() == psutil.STATUS_STOPPED
        replica.terminate()
        supervisor.info |= {"pid": 0, "statename": "STOPPED"}

    supervisor.stops = stop
    supervised_by(tmp_path, supervisor).kill("app-1", stay_dead=True)
    assert replica.poll() is not None
    assert not (tmp_path / "goodbye").exists()


def test_a_victim_that_does_not_die_is_an_error(
    tmp_path: Path, replica: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "AT_ONCE_SECONDS", 0.1)
    monkeypatch.setattr(processes, "signal_all", lambda members, name: None)
    with pytest.raises(FaultError, match=rf"app-1 \(pid {replica.pid}\) did not die"):
        supervised_by(tmp_path, Supervisor(replica.pid)).kill("app-1", stay_dead=False)


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL"])
def test_what_does_not_run_cannot_be_killed(tmp_path: Path, state: str) -> None:
    with pytest.raises(FaultError, match="app-1 cannot be killed: it is dead"):
        supervised_by(tmp_path, Supervisor(0, state)).kill("app-1", stay_dead=False)


def test_a_cluster_that_is_gone_is_a_cluster_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="gone"):
        LocalCluster(Topology.from_environment(), tmp_path).kill("app-1")
