"""The cluster as plain processes under supervisord: no root, no Docker."""

import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic
from typing import Self

from loadtest.cluster import processes
from loadtest.cluster.binaries import find_binaries, versions
from loadtest.cluster.clocks import Meter
from loadtest.cluster.distance import Distance
from loadtest.cluster.launch import check_path, check_ports, check_settings, launch, lock
from loadtest.cluster.nginx import LoadBalancer, write_configuration
from loadtest.cluster.programs import Programs
from loadtest.cluster.protocol import Capability, ClusterError, CpuReading, Memory, Process, Tier
from loadtest.cluster.readiness import Readiness
from loadtest.cluster.redis_server import RedisServer
from loadtest.cluster.supervised import Supervised
from loadtest.cluster.topology import OPTIONAL, REPOSITORY, Topology

STATE = Path(os.environ.get("STATE_DIR", REPOSITORY / ".run")).absolute()  # one directory below it per cluster
PATIENCE_SECONDS = 25  # to stop: above every stopwaitsecs in deploy/local
START_SECONDS = 30.0
CAPABILITIES: frozenset[Capability] = frozenset(
    {"stop", "kill", "pause", "scale", "reload", "delay", "fill", "memory", "store-operations"}
)


class LocalCluster:
    """The `Cluster` of this machine whose state is in *directory*. As a context manager it runs for the block."""

    def __init__(self, topology: Topology, directory: Path) -> None:
        self.topology = topology
        self.directory = directory
        self.secrets = directory / "secrets"
        self.supervised = Supervised(directory)
        self._launched: subprocess.Popen[bytes] | None = None
        self._readiness = Readiness(self.supervised, self._ended)
        self._programs = Programs(directory, topology, self.supervised)
        self._redis = RedisServer(topology.redis_port, self.secrets / "redis-password")
        self._distance = Distance(self._programs, self._readiness, self._redis)
        self._nginx = LoadBalancer(directory / "nginx", topology, self.supervised, self._readiness)
        self._meter = Meter(self.supervised.members)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

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

    def capabilities(self) -> frozenset[Capability]:
        """Return what can be done here: everything."""
        return CAPABILITIES

    def settings(self) -> dict[str, str]:
        """Return the settings in force: the topology's, and what else of the services' our environment has."""
        return self.topology.environment() | {name: os.environ[name] for name in OPTIONAL if name in os.environ}

    def secret(self, name: str) -> str:
        """Return the secret *name* of this deployment, such as `app-client-secret`."""
        return (self.secrets / name).read_text()

    def binaries(self) -> dict[str, str]:
        """Return versions and paths of what runs."""
        return versions(find_binaries())

    def up(self) -> None:
        """Start everything and return when all of it is ready. Raises `ClusterError`; then nothing is left running."""
        with lock(self.directory):
            check_path(self.directory)
            if self.running():
                raise ClusterError(f"a cluster is running in {self.directory} already: `make down` stops it")
            processes.end(processes.leftovers(self.directory), PATIENCE_SECONDS)
            check_ports(self.topology)
            try:
                self._programs.write_first()
                write_configuration(self.directory / "nginx", self.topology)
                self._launched = launch(self.directory, self.topology)
                self.wait_ready()
            except BaseException:
                self.down()
                raise

    def down(self) -> None:
        """Stop everything, in the reverse order of its start; also what an earlier supervisord left behind."""
        self._meter.forget()
        everything = processes.leftovers(self.directory)
        processes.signal_all(everything, "CONT")  # what is paused could not stop with grace
        supervisors = [process for process in everything if "supervisord" in " ".join(process.cmdline()[:3])]
        processes.end(supervisors, PATIENCE_SECONDS, self.supervised.wake)
        processes.end([process for process in everything if process.is_running()], PATIENCE_SECONDS)
        if self._launched is not None:
            self._launched.wait()

    def running(self) -> bool:
        """Return whether a supervisord of this cluster answers."""
        return self.supervised.running()

    def revive(self) -> None:
        """Start what has halted in this running cluster, and return when all of it is ready.

        Raises `ClusterError` if somebody else is starting it, if it was started with other settings, or if a process
        halts again: then the others go on.
        """
        with lock(self.directory):
            check_settings(self.directory, self.topology)
            self.supervised.start(self.supervised.halted())
            self.supervised.wait_running(monotonic() + START_SECONDS)
            self.wait_ready()

    def processes(self) -> list[Process]:
        """Return every process and its state. Raises `ClusterError` if supervisord has ended."""
        return self.supervised.states()

    def replicas(self) -> list[str]:
        """Return the names of the replicas."""
        return list(self._programs.ports("app"))

    def replica_urls(self) -> dict[str, str]:
        """Return where each replica listens, by its name."""
        return {name: f"http://127.0.0.1:{port}" for name, port in self._programs.ports("app").items()}

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when every service answers `/readyz`; raise `ClusterError` with the last log lines if one does not."""
        for name, port in self._ports().items():
            self._readiness.wait(port, name, seconds)

    def start(self, name: str) -> None:
        """Start what is dead of *name* and return when all of *name* is ready."""
        infos = self.supervised.named(name)
        self.supervised.start(infos)
        self._meter.forget()
        ports = self._ports()
        for started in {info["name"] for info in infos} & ports.keys():
            self._readiness.wait(ports[started], started, START_SECONDS)

    def stop(self, name: str) -> None:
        """Stop *name* with SIGTERM (nginx: SIGQUIT) and return when it has drained and ended."""
        self.supervised.stop(name)

    def kill(self, name: str, *, stay_dead: bool = False) -> None:
        """End *name* with SIGKILL; supervisord starts it again unless it is to *stay_dead*."""
        self.supervised.kill(name, stay_dead=stay_dead)

    def pause(self, name: str) -> None:
        """Send SIGSTOP to *name*, nginx' workers included."""
        self.supervised.pause(name)

    def resume(self, name: str) -> None:
        """Send SIGCONT to *name*."""
        self.supervised.resume(name)

    def signal(self, name: str, signal: str) -> None:
        """Send *signal* (`HUP`, `TERM`, ...) to *name*."""
        self.supervised.signal(name, signal)

    def restart(self, name: str) -> None:
        """Stop *name* with SIGTERM, start it again and return when everything is ready."""
        self.supervised.restart(name)
        self.wait_ready()

    def rolling_restart(self) -> None:
        """Restart one replica after the other."""
        for name in self.replicas():
            self.restart(name)

    def scale(self, replicas: int) -> None:
        """Start further replicas, or take the last ones from nginx and stop them."""
        if replicas < 1:
            raise ClusterError(f"{replicas} replicas: there must be one")
        superfluous = len(self.replicas()) - replicas
        for _ in range(-superfluous):
            name = self._programs.add_replica()
            self._readiness.wait(self._programs.ports("app")[name], name, START_SECONDS)
        self._ask(self.replicas()[:replicas])
        for _ in range(superfluous):
            self._programs.remove_replica()

    def reload_load_balancer(self) -> None:
        """Send SIGHUP to nginx and return when new workers serve and the old ones are gone."""
        self._ask(self.replicas())

    @contextmanager
    def balance_over(self, replicas: Collection[str], workers: int | None = None) -> Iterator[None]:
        """Let nginx ask *replicas* only, with *workers* processes; connections to it end at both ends of the block."""
        known = self.replicas()
        if not replicas or not set(replicas) <= set(known):
            raise ClusterError(f"{', '.join(replicas) or 'nobody'}: there are {', '.join(known)}")
        try:
            self._ask(replicas, workers)
            yield
        finally:
            self._ask(self.replicas())

    def _ask(self, replicas: Collection[str], workers: int | None = None) -> None:
        self._nginx.ask([port for name, port in self._programs.ports("app").items() if name in replicas], workers)
        self._meter.forget()

    @contextmanager
    def delay(self, seconds: float, name: str = "redis") -> Iterator[float]:
        """Put a proxy in front of *name* that passes on its answers *seconds* later."""
        self._meter.forget()
        try:
            with self._distance.of(name, seconds) as round_trip:
                yield round_trip
        finally:
            self._meter.forget()

    def fill(self, name: str = "redis") -> AbstractContextManager[None]:
        """Take from Redis all the memory that it does not use yet."""
        if name != "redis":
            raise ClusterError(f"{name} cannot be filled: redis can")
        return self._redis.filled()

    def cpu(self) -> CpuReading:
        """Read the CPU clocks of every process. A restarted one begins anew: read between faults only."""
        return self._meter.read()

    def memory(self) -> Mapping[str, Memory]:
        """Read how much memory is each process's own (USS), and how much Redis says it uses."""
        return {**self.supervised.memory(), "redis": Memory("redis", self._redis.used_bytes())}

    def store_operations(self) -> Mapping[Tier, Mapping[str, int]]:
        """Read what Redis has done. The database is a file within the auth service, which counts nothing."""
        return {"redis": self._redis.operations()}

    def _ports(self) -> dict[str, int]:
        """Return which port of which process to ask for `/readyz`."""
        ports = self._programs.ports
        return ports("auth") | ports("app") | {"loadbalancer": self.topology.lb_port}

    def _ended(self) -> bool:
        """Return whether our supervisord has ended, or was never started."""
        return self._launched is None or self._launched.poll() is not None
