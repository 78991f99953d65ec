"""The Redis of a local cluster, looked at and changed from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from loadtest.cluster.protocol import ClusterError, FaultError

TIMEOUT_SECONDS = 5.0
OF_THE_CONNECTION = frozenset(
    {"auth", "client", "command", "config", "hello", "info", "ping", "quit", "reset", "select"}
)
"""Commands that no request needs: they open a connection, keep it alive, or look at Redis from outside."""


class RedisServer:
    """The server on *port* of the loopback address; *password* is a file. Raises `ClusterError` when it is away."""

    def __init__(self, port: int, password: Path) -> None:
        self.port = port
        self._password = password

    @contextmanager
    def _client(self, port: int | None = None) -> Iterator[redis.Redis]:
        client = redis.Redis(
            port=port or self.port, password=self._password.read_text(), socket_timeout=TIMEOUT_SECONDS, protocol=2
        )
        try:
            with client:
                yield client
        except redis.RedisError as error:
            raise ClusterError(f"Redis on port {port or self.port}: {error}") from None

    @contextmanager
    def pinging(self) -> Iterator[Callable[[], object]]:
        """Yield what makes one round trip over a connection that is open already."""
        with self._client() as client:
            client.ping()
            yield client.ping

    def operations(self) -> dict[str, int]:
        """Return how often each command was carried out since the server started, those within scripts included."""
        with self._client() as client:
            statistics = client.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): int(numbers["calls"]) for name, numbers in statistics.items()}
        return {name: number for name, number in calls.items() if name.partition("|")[0] not in OF_THE_CONNECTION}

    def used_bytes(self) -> int:
        """Return how many bytes the server has allocated, which is exact; its pages are not."""
        with self._client() as client:
            return int(client.info("memory")["used_memory"])

    def listen(self, port: int, now: int) -> None:
        """Let it listen on *port* instead of *now*. Open connections stay open."""
        with self._client(now) as client:
            client.config_set("port", port)

    def cut(self, port: int) -> None:
        """Close all connections to the server that listens on *port* now; clients come back by themselves."""
        with self._client(port) as client:
            for kind in ("normal", "pubsub"):
                client.client_kill_filter(_type=kind, skipme=True)

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Let it refuse whatever needs more memory, within the block. Raises `FaultError` if it does not."""
        with self._client() as client:
            before = str(client.config_get("maxmemory")["maxmemory"])
        try:
            with self._client() as client:
                client.config_set("maxmemory", 1)
                _check_full(client)
            yield
        finally:
            with self._client() as client:
                client.config_set("maxmemory", before)


def _check_full(client: redis.Redis) -> None:
    try:
        client.set("loadtest:one-more", "x", ex=1)
    except redis.OutOfMemoryError:
        return
    raise FaultError("Redis took a new key although it has no memory left: its maxmemory-policy is not noeviction")
