"""What an experiment may ask of a cluster, whoever supervises it."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

Tier = Literal["loadbalancer", "app", "auth", "redis", "database", "loadgen"]


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what to do next."""


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
    """One running deployment of all tiers. Names of replicas are those of `X-Replica`: `app-1`, `app-2`, ..."""

    @property
    def url(self) -> str:
        """Where the load balancer listens as in production: with affinity where a strategy needs it."""

    @property
    def url_no_affinity(self) -> str:
        """Where the same load balancer listens without any affinity."""

    @property
    def engine(self) -> str:
        """What runs the processes: `supervisord`, `docker compose`."""

    def settings(self) -> dict[str, str]:
        """The settings in force, by their names in `.env`; no secrets."""

    def replicas(self) -> list[str]:
        """Names of the replicas that should be running."""

    def replica_urls(self) -> Mapping[str, str]:
        """Where each replica listens, by its name, for who wants to ask it past the load balancer.

        Empty where replicas cannot be reached from here, as in containers that publish the load balancer only.
        """

    def balance_over(self, replicas: Collection[str], workers: int | None = None) -> AbstractContextManager[None]:
        """Let the load balancer send requests to *replicas* only, within a `with` block.

        It has so many *workers* meanwhile; by default as many as ever.

        Entered, no older worker of the load balancer is left, so every connection to it must be a new one; the same
        holds when the block has ended and all replicas are asked again. Raises `ClusterError`.
        """

    def kill(self, replica: str) -> None:
        """End *replica* with SIGKILL; its supervisor will start it again. `ClusterError` if it did not die."""

    def restart(self, process: str) -> None:
        """Stop *process* (a replica's name) with SIGTERM, start it again and return when it is ready."""

    def wait_ready(self, seconds: float = 30) -> None:
        """Return when every service says it is ready; raise `ClusterError` with the last log lines if one does not."""

    def secret(self, name: str) -> str:
        """A secret of this deployment: `admin-password`, `app-client-secret`."""

    def binaries(self) -> dict[str, str]:
        """Versions and paths of what runs: nginx, redis, python, and the packages that matter."""
