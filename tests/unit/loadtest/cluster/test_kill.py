"""A kill counts only if the victim died."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.cluster import local
from loadtest.cluster.local import LocalCluster
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import Topology


@pytest.fixture
def replica() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


class Supervisor:
    """A supervisor with one replica that follows the test's instructions."""

    def __init__(self, pid: int, state: str = "RUNNING") -> None:
        self.info = {"name": "app-1", "group": "app", "pid": pid, "statename": state}
        self.kills: Callable[[], None] = lambda: None

    def processes(self) -> list[dict[str, Any]]:
        return [self.info]

    def signal(self, process: object, name: str) -> None:
        assert name == "KILL"
        self.kills()


def cluster(tmp_path: Path, supervisor: Supervisor) -> LocalCluster:
    found = LocalCluster(Topology.from_environment(), tmp_path)
    found._supervisor = supervisor  # type: ignore[assignment] # it has what a kill needs
    return found


def test_a_kill_returns_when_the_victim_is_gone(tmp_path: Path, replica: subprocess.Popen[bytes]) -> None:
    supervisor = Supervisor(replica.pid)
    supervisor.kills = replica.kill
    cluster(tmp_path, supervisor).kill("app-1")
    assert replica.poll() is not None


def test_a_victim_that_does_not_die_is_an_error(
    tmp_path: Path, replica: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "KILL_SECONDS", 0.1)
    with pytest.raises(ClusterError, match=rf"app-1 \(pid {replica.pid}\) is still running"):
        cluster(tmp_path, Supervisor(replica.pid)).kill("app-1")


@pytest.mark.parametrize("state", ["STARTING", "BACKOFF", "FATAL"])
def test_a_process_that_is_not_running_cannot_be_killed(tmp_path: Path, state: str) -> None:
    with pytest.raises(ClusterError, match=f"it is {state}, not RUNNING"):
        cluster(tmp_path, Supervisor(0, state)).kill("app-1")


def test_a_cluster_that_is_gone_is_a_cluster_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="gone"):
        LocalCluster(Topology.from_environment(), tmp_path).kill("app-1")
