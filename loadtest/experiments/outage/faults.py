"""What can be away: Redis, the auth service with its keys, the database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from loadtest.cluster.faults import killed, paused
from loadtest.cluster.protocol import Capability, Cluster

SLOW_SECONDS = 0.5
KILLED, PAUSED, SLOW, FULL = "killed", "paused", "slow", "full"


@dataclass(frozen=True)
class Fault:
    """*how* a *service* is away within a block. It takes what the cluster is capable of."""

    service: str
    how: str
    needs: Capability
    happens: Callable[[Cluster], AbstractContextManager[object]]

    def __str__(self) -> str:
        return f"{self.service} {self.how}"


def _faults(service: str) -> list[Fault]:
    return [
        Fault(service, KILLED, "kill", lambda cluster: killed(cluster, service)),
        Fault(service, PAUSED, "pause", lambda cluster: paused(cluster, service)),
    ]


def _slow(service: str) -> Fault:
    return Fault(service, SLOW, "delay", lambda cluster: cluster.delay(SLOW_SECONDS, service))


FULL_REDIS = Fault("redis", FULL, "fill", lambda cluster: cluster.fill("redis"))
FAULTS = (
    *_faults("redis"), _slow("redis"), FULL_REDIS,
    *_faults("auth"), _slow("auth"),
    *_faults("database"),
)  # fmt: skip


def possible(cluster: Cluster) -> Iterator[Fault]:
    """Yield the faults of what *cluster* has: a database may be a file that no process serves."""
    services = {process.tier for process in cluster.processes()}
    yield from (fault for fault in FAULTS if fault.service in services)
