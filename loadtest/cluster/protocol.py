"""What an experiment may ask of a cluster, whoever supervises it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Tier = Literal["loadbalancer", "app", "auth", "redis", "database", "loadgen"]


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what to do next."""


@dataclass(frozen=True)
class CpuReading:
    """CPU seconds that each tier has used since its start, read at one moment (`time`: seconds, monotonic clock)."""

    time: float
    seconds: Mapping[Tier, float]


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

    def kill(self, replica: str) -> None:
        """End *replica* with SIGKILL; its supervisor will start it again. `ClusterError` if it did not die."""

    def wait_ready(self, seconds: float = 30) -> None:
        """Return when every service says it is ready; raise `ClusterError` with the last log lines if one does not."""

    def secret(self, name: str) -> str:
        """A secret of this deployment: `admin-password`, `app-client-secret`."""

    def binaries(self) -> dict[str, str]:
        """Versions and paths of what runs: nginx, redis, python, and the packages that matter."""
