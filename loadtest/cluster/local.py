"""The cluster as plain processes under supervisord: no root, no Docker."""

import fcntl
import os
import subprocess
import sys
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self
from urllib.error import URLError
from xmlrpc.client import Fault

import psutil
import tenacity

from deploy.make_secrets import make_secrets
from loadtest.cluster import nginx, processes
from loadtest.cluster.binaries import find_binaries, versions
from loadtest.cluster.clocks import Meter, Processes
from loadtest.cluster.protocol import ClusterError, CpuReading
from loadtest.cluster.supervisor import HALTED, ProcessInfo, Supervisor
from loadtest.cluster.topology import OPTIONAL, REPOSITORY, Topology, is_free

STATE = Path(os.environ.get("STATE_DIR", REPOSITORY / ".run")).absolute()  # one directory below it per cluster
PATIENCE_SECONDS = 25  # to stop: above every stopwaitsecs in supervisord.conf
START_ORDER = ("redis", "auth", "app", "loadbalancer")  # of supervisord's groups, as their priorities have it
RELOAD_SECONDS = 10
KILL_SECONDS = 5.0
MAX_SOCKET_PATH = 90  # 104 bytes on macOS, 108 on Linux; supervisord adds its pid while it starts


class LocalCluster:
    """The `Cluster` of this machine whose state is in *directory*. As a context manager it runs for the block."""

    def __init__(self, topology: Topology, directory: Path) -> None:
        self.topology = topology
        self.directory = directory
        self.secrets = directory / "secrets"
        self._supervisor = Supervisor(directory / "supervisor.sock")
        self._launched: subprocess.Popen[bytes] | None = None
        self._meter = Meter(self._members)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where nginx listens as in production."""
        return f"http://127.0.0.1:{self.topology.lb_port}"

    @property
    def url_no_affinity(self) -> str:
        """Where nginx listens without affinity."""
        return f"http://127.0.0.1:{self.topology.lb_port_no_affinity}"

    @property
    def engine(self) -> str:
        """What runs the processes."""
        return "supervisord"

    def settings(self) -> dict[str, str]:
        """Return the settings in force: the topology's, and what else of the services' our environment has."""
        return self.topology.environment() | {name: os.environ[name] for name in OPTIONAL if name in os.environ}

    def secret(self, name: str) -> str:
        """Return the secret *name* of this deployment, such as `app-client-secret`."""
        return (self.secrets / name).read_text()

    def running(self) -> bool:
        """Return whether a supervisord of this cluster answers."""
        return self._supervisor.alive()

    def processes(self) -> list[ProcessInfo]:
        """Return supervisord's view of every process. Raises `ClusterError` when there is no supervisord any more."""
        try:
            return self._supervisor.processes()
        except OSError as error:
            raise ClusterError(
                f"the cluster in {self.directory} is gone: its supervisord does not answer ({error})"
            ) from None

    def replicas(self) -> list[str]:
        """Return the names of the replicas."""
        return [info["name"] for info in self.processes() if info["group"] == "app"]

    def replica_urls(self) -> dict[str, str]:
        """Return where each replica listens, by its name."""
        return {name: f"http://127.0.0.1:{port}" for port, name in self._replica_names().items()}

    def start(self) -> None:
        """Start everything and return when all of it is ready. Raises `ClusterError`; then nothing is left running."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._lock():
            self._check_path()
            if self.running():
                raise ClusterError(f"a cluster is running in {self.directory} already: `make down` stops it")
            processes.end(processes.leftovers(self.directory), PATIENCE_SECONDS)
            self._check_ports()
            try:
                self._launch(find_binaries())
                self.wait_ready()
            except BaseException:
                self.stop()
                raise

    def halted(self) -> list[ProcessInfo]:
        """Return the processes that supervisord has stopped or given up, in the order in which they start."""
        infos = [info for info in self.processes() if info["statename"] in HALTED]
        return sorted(infos, key=lambda info: START_ORDER.index(info["group"]))

    def revive(self) -> None:
        """Start what has halted in this running cluster, and return when all of it is ready.

        Raises `ClusterError` if somebody else is starting it, if it was started with other settings, or if a process
        halts again: then the others go on.
        """
        with self._lock():
            self._check_settings()
            for info in self.halted():
                if reason := self._supervisor.start(info):
                    raise ClusterError(f"{info['name']} does not start: {reason}\n{self.last_lines(info['name'])}")
            self._wait_running(monotonic() + 30)
            self.wait_ready()

    def stop(self) -> None:
        """Stop everything, in the reverse order of its start; also what an earlier supervisord left behind."""
        self._meter.forget()
        everything = processes.leftovers(self.directory)
        supervisors = [process for process in everything if "supervisord" in " ".join(process.cmdline()[:3])]
        processes.end(supervisors, PATIENCE_SECONDS, self._supervisor.wake)
        processes.end([process for process in everything if process.is_running()], PATIENCE_SECONDS)
        if self._launched is not None:
            self._launched.wait()

    def kill(self, replica: str) -> None:
        """End *replica* with SIGKILL and return when it is gone; supervisord starts it again. Raises `ClusterError`."""
        info = self._process(replica)
        if info["statename"] != "RUNNING":
            raise ClusterError(f"{replica} cannot be killed: it is {info['statename']}, not RUNNING")
        victim = psutil.Process(info["pid"])
        self.signal(replica, "KILL")
        _, alive = psutil.wait_procs([victim], timeout=KILL_SECONDS)
        if alive:
            raise ClusterError(f"{replica} (pid {victim.pid}) is still running {KILL_SECONDS:g} s after kill -9")

    def signal(self, process: str, name: str) -> None:
        """Send signal *name* to *process* (`app-1`, `redis`, ...)."""
        self._supervisor.signal(self._process(process), name)

    def restart(self, process: str) -> None:
        """Stop *process* with SIGTERM, start it again and return when it is ready."""
        self._supervisor.restart(self._process(process))
        self.wait_ready()

    def _process(self, name: str) -> ProcessInfo:
        for info in self.processes():
            if info["name"] == name:
                return info
        raise ClusterError(f"there is no process {name!r}: `python -m loadtest status` lists them")

    def wait_ready(self, seconds: float = 30) -> None:
        """Return when every service answers `/readyz`; raise `ClusterError` with the last log lines if one does not."""
        for port, name in self._probes().items():
            self._wait_for(port, name, monotonic() + seconds)

    @contextmanager
    def balance_over(self, replicas: Collection[str], workers: int | None = None) -> Iterator[None]:
        """Let nginx ask *replicas* only, with so many *workers*; connections to it end at both ends of the block."""
        ports = [port for port, name in self._replica_names().items() if name in replicas]
        if len(ports) != len(set(replicas)) or not ports:
            raise ClusterError(f"{', '.join(replicas) or 'nobody'}: there are {', '.join(self.replicas())}")
        try:
            self._reload(ports, workers)
            yield
        finally:
            self._reload(self.topology.app_ports())

    def _reload(self, ports: Collection[int], workers: int | None = None) -> None:
        """Give nginx a list of replicas, and return when new workers serve and the old ones are gone."""
        nginx.write_balance(self.directory / "nginx", ports, workers)
        try:
            old = psutil.Process(self._process("loadbalancer")["pid"]).children()
            self.signal("loadbalancer", "HUP")
        except (psutil.NoSuchProcess, Fault) as error:
            raise ClusterError(f"nginx is not running: {error}\n{self.last_lines('loadbalancer')}") from None
        if psutil.wait_procs(old, timeout=RELOAD_SECONDS)[1]:
            raise ClusterError(f"nginx did not reload within {RELOAD_SECONDS} s\n{self.last_lines('loadbalancer')}")
        self._wait_for(self.topology.lb_port, "loadbalancer", monotonic() + RELOAD_SECONDS)
        self._meter.forget()

    def cpu(self) -> CpuReading:
        """Read the CPU clocks of every process. A restarted one begins anew: read between faults only."""
        return self._meter.read()

    def _members(self) -> Processes:
        """Return every process under supervision; children (nginx' workers) are named after their parent."""
        found: dict[str, tuple[Any, int]] = {}  # groups are tiers
        for info in self.processes():
            if not info["pid"]:
                raise ClusterError(f"{info['name']} is not running\n{self.last_lines(info['name'])}")
            family = processes.family(info["pid"])
            if not family:
                raise ProcessLookupError(info["pid"])
            parent, *children = family
            found[info["name"]] = (info["group"], parent.pid)
            found |= {f"{info['name']}/{child.pid}": (info["group"], child.pid) for child in children}
        return found

    def binaries(self) -> dict[str, str]:
        """Return versions and paths of what runs."""
        return versions(find_binaries())

    def _probes(self) -> dict[int, str]:
        """Return which port to ask for `/readyz`, and whose log to show when it is silent."""
        auth = {port: f"auth-{number}" for number, port in enumerate(self.topology.auth_ports(), 1)}
        return auth | self._replica_names() | {self.topology.lb_port: "loadbalancer"}

    def _replica_names(self) -> dict[int, str]:
        """Return the name of the replica that listens on each port."""
        return {port: f"app-{number}" for number, port in enumerate(self.topology.app_ports(), 1)}

    def _wait_for(self, port: int, name: str, deadline: float) -> None:
        polling = tenacity.Retrying(
            wait=tenacity.wait_fixed(0.05),
            stop=lambda _: monotonic() > deadline or self._halted(name),
            retry=tenacity.retry_if_result(lambda reason: reason is not None),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        if reason := polling(_not_ready, port):
            what = "cannot start" if self._halted(name) else f"is not ready on port {port} ({reason})"
            raise ClusterError(f"{name} {what}: {self._log(name)[-1]}\n{self.last_lines(name)}")

    def _wait_running(self, deadline: float) -> None:
        """Return when every process runs, also those that supervisord is trying again by itself."""
        while missing := [info["name"] for info in self.processes() if info["statename"] != "RUNNING"]:
            if self.halted() or monotonic() > deadline:
                raise ClusterError(f"{missing[0]} does not start\n{self.last_lines(missing[0])}")
            sleep(0.05)

    def _halted(self, name: str) -> bool:
        """Return whether *name* cannot start: supervisord has given up on it, or is gone itself."""
        try:
            infos = [info for info in self.processes() if info["name"] == name]
        except ClusterError:
            return self._launched is None or self._launched.poll() is not None
        return any(info["statename"] == "FATAL" or info["exitstatus"] == os.EX_CONFIG for info in infos)

    def last_lines(self, name: str, count: int = 15) -> str:
        """Return the end of the log of process *name*, and where all of it is."""
        return "\n".join([f"The last lines of {self._log_file(name)}:", *self._log(name)[-count:]])

    def _log(self, name: str) -> list[str]:
        file = self._log_file(name)
        return (file.read_text(errors="replace").splitlines() if file.exists() else []) or ["(its log is empty)"]

    def _log_file(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def _check_settings(self) -> None:
        """Raise `ClusterError` if the running cluster was started with other settings than .env has now."""
        supervisor = psutil.Process(int((self.directory / "supervisord.pid").read_text()))
        started_with, now = supervisor.environ(), self.topology.environment()
        changed = [
            f"{name} was {started_with.get(name)}, is {now[name]}"
            for name in now
            if started_with.get(name) != now[name]
        ]
        if changed:
            raise ClusterError(
                f"the cluster in {self.directory} runs with other settings than .env has now ({'; '.join(changed)}): "
                "`make down`, then `make up`"
            )

    def _check_path(self) -> None:
        socket = str(self.directory / "supervisor.sock")
        if len(socket) > MAX_SOCKET_PATH:
            raise ClusterError(f"{socket} is too long for a UNIX socket: set STATE_DIR to a shorter path")

    def _check_ports(self) -> None:
        for port, setting in self.topology.ports().items():
            if not is_free(port):
                raise ClusterError(
                    f"port {port} ({setting}) is taken by {processes.listener(port)}: stop that, "
                    f"or choose another port in .env, or for once: {setting}={port + 1000} make up"
                )

    def _launch(self, binaries: dict[str, str]) -> None:
        for name in ("logs", "redis", "nginx/cluster"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        make_secrets(self.secrets)
        nginx.write_configuration(self.directory / "nginx", self.topology)
        with (self.directory / "logs" / "supervisord.out").open("wb") as output:
            self._launched = subprocess.Popen(  # noqa: S603  # our own arguments
                [sys.executable, "-m", "supervisor.supervisord", "-c", REPOSITORY / "deploy/local/supervisord.conf"],
                env=self._environment(binaries),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C at the terminal is ours to handle, not its
            )

    def _environment(self, binaries: dict[str, str]) -> dict[str, str]:
        topology = self.topology
        return (
            os.environ
            | topology.environment()
            | binaries
            | {
                "RUN_DIR": str(self.directory),
                "SECRETS_DIR": str(self.secrets),
                "REPOSITORY": str(REPOSITORY),
                "PYTHON": sys.executable,
                "AUTH_ISSUER": f"{self.url}/auth",
                "AUTH_URL": ",".join(f"http://127.0.0.1:{port}" for port in topology.auth_ports()),
                "AUTH_DATABASE_URL": f"sqlite+aiosqlite:///{self.directory}/auth.sqlite",
                "REDIS_URL": f"redis://127.0.0.1:{topology.redis_port}/0",
                "SECURE_COOKIES": "false",  # plain HTTP on the loopback address
            }
        )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one process at a time start this cluster."""
        with (self.directory / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ClusterError(f"somebody else is starting the cluster in {self.directory} right now") from None
            yield


def _not_ready(port: int) -> str | None:
    """Return why the service on *port* is not ready, or None."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return None if answer.status == HTTPStatus.OK else f"status {answer.status}"
    except (URLError, OSError) as error:
        return str(error)
