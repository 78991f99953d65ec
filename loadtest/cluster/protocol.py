"""What an experiment may ask of a cluster, whatever engine runs it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

Tier = Literal["loadbalancer", "app", "auth", "redis", "database", "loadgen", "proxy"]
"""`proxy`: what `Cluster.delay` puts between two tiers. Like `loadgen`, it is no part of what a request costs."""
State = Literal["alive", "draining", "paused", "dead"]
"""`draining`: it was asked to stop and finishes what it has begun. `dead`: there is no process."""
Capability = Literal["stop", "kill", "pause", "scale", "reload", "delay", "fill", "memory", "store-operations"]
"""What some engines can do and others cannot."""


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what to do next."""


class FaultError(ClusterError):
    """A fault that was asked for did not happen, so whatever was measured meanwhile says nothing about it."""


class Unavailable(ClusterError):  # noqa: N818 - the name is what it is
    """The cluster did not answer, or said 503, where nothing had been broken: it, or the machine, was overloaded."""


@dataclass(frozen=True)
class Process:
    """One supervised process. *pid* is None where there is no process, or none that can be seen from here."""

    name: str
    tier: Tier
    state: State
    pid: int | None = None


@dataclass(frozen=True)
class Memory:
    """Bytes of memory that one process of *tier* has to itself."""

    tier: Tier
    bytes: int


@dataclass(frozen=True)
class ProcessCpu:
    """CPU seconds that one process of *tier* has used since it started, read at *time* (seconds, monotonic clock)."""

    tier: Tier
    pid: int
    time: float
    seconds: float


@dataclass(frozen=True)
class CpuUse:
    """CPU seconds that one process of *tier* used in *elapsed* seconds."""

    tier: Tier
    seconds: float
    elapsed: float


@dataclass(frozen=True)
class CpuReading:
    """The CPU clocks of all processes of a cluster, by name: those of `replicas()`, `redis`, `loadbalancer`, ..."""

    processes: Mapping[str, ProcessCpu]

    def since(self, earlier: "CpuReading") -> dict[str, CpuUse]:
        """Return what each process has used since an *earlier* reading.

        Raises `ClusterError` if a process ended or was restarted in between: its seconds went with it.
        """
        ids, before = ({name: one.pid for name, one in reading.processes.items()} for reading in (self, earlier))
        if ids != before:
            changed = ", ".join(sorted(name for name in ids | before if ids.get(name) != before.get(name)))
            raise ClusterError(f"processes ended or were restarted while their CPU time was measured: {changed}")
        return {name: _use(earlier.processes[name], now) for name, now in self.processes.items()}


def _use(before: ProcessCpu, now: ProcessCpu) -> CpuUse:
    return CpuUse(now.tier, now.seconds - before.seconds, now.time - before.time)


class Metered(Protocol):
    """Whatever knows how much CPU it has used."""

    def cpu(self) -> CpuReading:
        """Read the operating system's accounting of every process that belongs to it, by tier."""


class Cluster(Metered, Protocol):
    """One running deployment of all tiers.

    A *name* is that of a process, or of a tier, which stands for all of its processes: `redis`, `auth` (`auth-1`, ...),
    `app` (`app-1`, ...: the names in `X-Replica`), `loadbalancer`, and `database` where there is a server for it. What
    breaks something checks that it is broken before it returns, and raises `FaultError` if not. `faults.py` has context
    managers that also put it right.
    """

    @property
    def url(self) -> str:
        """Where the load balancer listens, as in production: with affinity for the strategies that need it."""

    @property
    def url_no_affinity(self) -> str:
        """Where the same load balancer listens without any affinity."""

    @property
    def engine(self) -> str:
        """What runs the processes: `supervisord`, `docker compose`."""

    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do here. Whatever else it is asked for raises `ClusterError`."""

    def settings(self) -> dict[str, str]:
        """The settings in force, by their names in `.env`; no secrets."""

    def replicas(self) -> list[str]:
        """Names of the replicas that should be running."""

    def processes(self) -> Sequence[Process]:
        """Every process that should be running, and the state it is in."""

    def replica_urls(self) -> Mapping[str, str]:
        """Where each replica listens, by its name, for requests that bypass the load balancer.

        Empty where replicas cannot be reached from here, as in containers that publish the load balancer only.
        """

    def start(self, name: str) -> None:
        """Start what is dead of *name*, and return when all of *name* is ready."""

    def stop(self, name: str) -> None:
        """Ask *name* to end (SIGTERM) and return when it has: it had the time to drain. It stays dead until `start`."""

    def kill(self, name: str, *, stay_dead: bool = False) -> None:
        """End *name* with SIGKILL. Its supervisor starts it again, unless it is to *stay_dead* until `start`."""

    def pause(self, name: str) -> None:
        """Let *name* do nothing (SIGSTOP), with its connections open, until `resume`."""

    def resume(self, name: str) -> None:
        """Let a paused *name* go on (SIGCONT)."""

    def restart(self, name: str) -> None:
        """Stop *name* with SIGTERM, start it again and return when it is ready."""

    def rolling_restart(self) -> None:
        """Restart every replica, one after the other, each when the one before it is ready."""

    def scale(self, replicas: int) -> None:
        """Run this number of *replicas*, and return when they serve.

        New ones get the next numbers, and requests as soon as they are ready. The last ones go: they get no request any
        more, and then are stopped.
        """

    def reload_load_balancer(self) -> None:
        """Let the load balancer read its configuration again, and return when no older worker is left."""

    def balance_over(self, replicas: Collection[str], workers: int | None = None) -> AbstractContextManager[None]:
        """Let the load balancer send requests to *replicas* only, within a `with` block.

        It has this number of *workers* within the block; by default, the usual number.

        Entered, no older worker of the load balancer is left, so every connection to it must be a new one; the same
        holds when the block has ended and all replicas are asked again. Raises `ClusterError`.
        """

    def delay(self, seconds: float, name: str = "redis") -> AbstractContextManager[float]:
        """Delay every answer of *name* (`redis` or `auth`) by this number of *seconds*, within a `with` block.

        The block gets the seconds that its shortest round trip now takes, which are at least as many. Connections to
        *name* end at both ends of the block, and its clients open new ones in their own time; no process of
        another tier is restarted.
        """

    def fill(self, name: str = "redis") -> AbstractContextManager[None]:
        """Let the store have no room for anything new, within a `with` block; what it has it keeps."""

    def memory(self) -> Mapping[str, Memory]:
        """Read how much memory each process has to itself; of Redis, how much it says it has allocated."""

    def store_operations(self) -> Mapping[Tier, Mapping[str, int]]:
        """How many commands each store has carried out since it started, by their names in lower case.

        Those that only keep a connection alive or look at the store from outside are left out.
        """

    def wait_ready(self, seconds: float = 30) -> None:
        """Return when every service says it is ready; raise `ClusterError` with the last log lines if one does not."""

    def secret(self, name: str) -> str:
        """A secret of this deployment: `admin-password`, `app-client-secret`."""

    def binaries(self) -> dict[str, str]:
        """Versions and paths of what runs: nginx, redis, python, and the packages that matter."""
