"""Starting the supervisord of a local cluster: what must hold before, and what it is told."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.make_secrets import make_secrets
from loadtest.cluster import processes
from loadtest.cluster.binaries import find_binaries
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import REPOSITORY, Topology, is_free

MAX_SOCKET_PATH = 90  # 104 bytes on macOS, 108 on Linux; supervisord adds its pid while it starts


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Let one process at a time start the cluster in *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(f"somebody else is starting the cluster in {directory} right now") from None
        yield


def check_path(directory: Path) -> None:
    """Raise `ClusterError` if supervisord could not listen in *directory*."""
    socket = str(directory / "supervisor.sock")
    if len(socket) > MAX_SOCKET_PATH:
        raise ClusterError(f"{socket} is too long for a UNIX socket: set STATE_DIR to a shorter path")


def check_ports(topology: Topology) -> None:
    """Raise `ClusterError` that names who listens on a port that is needed."""
    for port, setting in topology.ports().items():
        if not is_free(port):
            raise ClusterError(
                f"port {port} ({setting}) is taken by {processes.listener(port)}: stop that, "
                f"or choose another port in .env, or for once: {setting}={port + 1000} make up"
            )


def check_settings(directory: Path, topology: Topology) -> None:
    """Raise `ClusterError` if the running cluster was started with other settings than *topology* has."""
    supervisor = psutil.Process(int((directory / "supervisord.pid").read_text()))
    started_with, now = supervisor.environ(), topology.environment()
    changed = [
        f"{name} was {started_with.get(name)}, is {now[name]}" for name in now if started_with.get(name) != now[name]
    ]
    if changed:
        raise ClusterError(
            f"the cluster in {directory} runs with other settings than .env has now ({'; '.join(changed)}): "
            "`make down`, then `make up`"
        )


def launch(directory: Path, topology: Topology) -> subprocess.Popen[bytes]:
    """Start supervisord, which starts the rest. Raises `ClusterError` if a binary is missing."""
    binaries = find_binaries()
    for name in ("logs", "redis"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    make_secrets(directory / "secrets")
    with (directory / "logs" / "supervisord.out").open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # our own arguments
            [sys.executable, "-m", "supervisor.supervisord", "-c", REPOSITORY / "deploy/local/supervisord.conf"],
            env=_environment(directory, topology, binaries),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C at the terminal is ours to handle, not its
        )


def _environment(directory: Path, topology: Topology, binaries: dict[str, str]) -> dict[str, str]:
    return (
        os.environ
        | {"AUTH_URL": ",".join(f"http://127.0.0.1:{port}" for port in topology.auth_ports())}
        | topology.environment()
        | binaries
        | {
            "RUN_DIR": str(directory),
            "SECRETS_DIR": str(directory / "secrets"),
            "REPOSITORY": str(REPOSITORY),
            "PYTHON": sys.executable,
            "AUTH_ISSUER": f"http://127.0.0.1:{topology.lb_port}/auth",
            "AUTH_DATABASE_URL": f"sqlite+aiosqlite:///{directory}/auth.sqlite",
            "REDIS_URL": f"redis://127.0.0.1:{topology.redis_port}/0",
            "SECURE_COOKIES": "false",  # plain HTTP on the loopback address
        }
    )
