"""`up`, `down`, and what happens if they are not used as intended. Each test has its own state and ports."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtest.cluster.processes import leftovers
from loadtest.cluster.topology import REPOSITORY, Topology, is_free

pytestmark = pytest.mark.e2e


class Shell:
    """Runs `python -m loadtest …` on a cluster of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.topology = Topology.from_environment().on_free_ports()
        self.environment = os.environ | self.topology.environment() | {"STATE_DIR": str(state)}

    def start(self, *arguments: str, own_session: bool = False, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "loadtest", *arguments],
            cwd=REPOSITORY,
            env=self.environment | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=own_session,
        )

    def run(self, *arguments: str, **extra: str) -> tuple[int, str]:
        process = self.start(*arguments, own_session=False, **extra)
        output, _ = process.communicate(timeout=90)
        return process.returncode, output

    def succeed(self, *arguments: str) -> str:
        code, output = self.run(*arguments)
        assert code == 0, output
        return output

    def running(self) -> list[psutil.Process]:
        return leftovers(self.state / "local")

    def everybody(self) -> list[str]:
        """Return the command lines of the processes of this test's clusters."""
        ours = [process for process in psutil.process_iter() if _environ(process).get("STATE_DIR") == str(self.state)]
        return [_title(process) for process in [*ours, *leftovers(self.state)]]

    def all_ports_free(self) -> bool:
        """Return what the operating system says about the ports, independently of how we find our processes."""
        return all(is_free(port) for port in self.topology.ports())


def _environ(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):  # not ours to look at, or gone meanwhile
        return {}


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "gone meanwhile"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    opened = Shell(tmp_path / "state")
    yield opened
    opened.run("down")


def test_up_twice_status_down(shell: Shell) -> None:
    shell.succeed("up")
    assert "already up" in shell.succeed("up")
    assert shell.succeed("status").count("RUNNING") == 3 + shell.topology.app_replicas
    code, output = shell.run("up", LB_PORT=str(shell.topology.lb_port + 500), SESSION_LIMIT="7")
    assert code == 1
    assert f"LB_PORT was {shell.topology.lb_port}, is {shell.topology.lb_port + 500}" in output
    assert "SESSION_LIMIT was" in output
    secrets = list((shell.state / "local/secrets").iterdir())
    assert secrets
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    shell.succeed("down")
    assert shell.running() == []
    assert shell.all_ports_free()
    shell.succeed("down")


def supervisorctl(shell: Shell, *arguments: str) -> str:
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", f"unix://{shell.state}/local/supervisor.sock"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False).stdout


@pytest.mark.timeout(300)  # six commands, and supervisord takes its time to give up
def test_up_restarts_what_supervisord_has_given_up(shell: Shell) -> None:
    shell.succeed("up")
    secret = shell.state / "local/secrets/redis.acl"
    secret.rename(secret.with_suffix(".away"))
    supervisorctl(shell, "signal", "KILL", "redis:redis")
    while "FATAL" not in supervisorctl(shell, "status", "redis:redis"):
        pass  # about 6 seconds: it tries three times
    code, output = shell.run("status")
    assert code == 1
    assert "redis is FATAL" in output
    code, output = shell.run("up")
    assert code == 1
    assert "redis is FATAL" in output
    assert "redis does not start" in output
    assert "redis.acl" in output, "the last lines of its log say why"
    assert "already up" not in output
    secret.with_suffix(".away").rename(secret)
    shell.succeed("up")  # which may find supervisord trying once more, and waits for that
    shell.succeed("status")


def test_up_starts_stopped_processes_in_order_of_dependency(shell: Shell) -> None:
    shell.succeed("up")
    supervisorctl(shell, "stop", "loadbalancer:loadbalancer", "app-2", "auth-1", "redis:redis")
    code, output = shell.run("status")
    assert code == 1
    assert output.count("is STOPPED") == 4
    assert "restarted: redis, auth-1, app-2, loadbalancer" in shell.succeed("up")
    assert "restarted" not in shell.succeed("up")
    shell.succeed("status")


def test_up_while_another_up_is_starting_says_so(shell: Shell) -> None:
    starting = shell.start("up")
    while not (shell.state / "local/supervisor.sock").exists():
        assert starting.poll() is None, starting.communicate()[0]
    code, output = shell.run("up")
    assert code == 1
    assert "somebody else is starting the cluster" in output
    assert "already up" not in output
    assert starting.communicate(timeout=90)[0].count("ready:") == 1


def test_status_without_a_cluster_fails(shell: Shell) -> None:
    code, output = shell.run("status")
    assert code == 1
    assert "no cluster is up" in output


def test_a_taken_port_is_named_with_its_setting(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", shell.topology.lb_port)):
        code, output = shell.run("up")
    assert code == 1
    assert f"port {shell.topology.lb_port} (LB_PORT) is taken by" in output
    assert "Traceback" not in output
    assert shell.running() == []


@pytest.mark.parametrize("variable", ["NGINX_BIN", "REDIS_BIN"])
def test_a_missing_binary_is_named(shell: Shell, variable: str) -> None:
    code, output = shell.run("up", **{variable: "/nowhere/at-all"})
    assert code == 1
    assert f"{variable} is /nowhere/at-all" in output
    assert shell.running() == []


def test_a_service_that_cannot_start_shows_its_last_lines(shell: Shell) -> None:
    code, output = shell.run("up", ACCESS_TOKEN_SECONDS="soon")
    assert code == 1
    assert "auth-1 cannot start: setting ACCESS_TOKEN_SECONDS: Input should be a valid integer" in output
    assert shell.running() == []


def test_ctrl_c_while_starting_leaves_nothing_running(shell: Shell) -> None:
    starting = shell.start("up")
    while not shell.running() and starting.poll() is None:
        pass  # until the first process of the cluster is there
    starting.send_signal(signal.SIGINT)
    output, _ = starting.communicate(timeout=60)
    assert starting.returncode == 130, output
    assert "Traceback" not in output
    assert shell.running() == []


def test_ctrl_c_during_compare_leaves_nothing_running(shell: Shell) -> None:
    """The terminal sends it to the whole foreground process group, including the generators."""
    measuring = shell.start("compare", own_session=True)
    try:
        while not any("loadtest.load.turn_process" in title for title in shell.everybody()):
            assert measuring.poll() is None, measuring.communicate()[0]
    finally:
        os.killpg(measuring.pid, signal.SIGINT)
        output, _ = measuring.communicate(timeout=60)
    assert measuring.returncode == 130, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert shell.everybody() == []


def test_down_cleans_up_after_a_killed_supervisor(shell: Shell) -> None:
    shell.succeed("up")
    supervisor = psutil.Process(int((shell.state / "local/supervisord.pid").read_text()))
    supervisor.kill()
    psutil.wait_procs([supervisor], 10)
    assert shell.running(), "its children outlive it"
    shell.succeed("down")
    assert shell.running() == []
    assert shell.all_ports_free()
