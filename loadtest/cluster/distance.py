"""Letting a server of a local cluster seem further away, while everybody else runs on."""

import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from loadtest.cluster.programs import Programs
from loadtest.cluster.protocol import ClusterError, FaultError
from loadtest.cluster.readiness import Readiness
from loadtest.cluster.redis_server import RedisServer
from loadtest.cluster.topology import free_port

ROUND_TRIPS = 5
ENOUGH_SECONDS = 0.5
START_SECONDS = 10.0


class Distance:
    """Moves a server to another port and puts a proxy where it was: clients notice no more than closed connections.

    Only what is in flight at an auth process when it moves there is lost.
    """

    def __init__(self, programs: Programs, readiness: Readiness, redis: RedisServer) -> None:
        self._programs = programs
        self._readiness = readiness
        self._redis = redis

    @contextmanager
    def of(self, name: str, seconds: float) -> Iterator[float]:
        """Let answers of *name* come *seconds* later within the block, which gets the shortest round trip."""
        with ExitStack() as stack:
            match name:
                case "redis":
                    stack.enter_context(self._redis_behind_proxy(seconds))
                    with self._redis.pinging() as ping:
                        trips = [_seconds(ping)]
                case "auth":
                    ports = self._programs.ports("auth")
                    for process, port in ports.items():
                        stack.enter_context(self._auth_behind_proxy(process, port, seconds))
                    trips = [_seconds(partial(_get, port)) for port in ports.values()]
                case _:
                    raise ClusterError(f"{name} cannot be delayed: redis and auth can")
            if min(trips) < seconds:
                raise FaultError(f"{name} answers within {min(trips):g} s although {seconds:g} s were to be added")
            yield min(trips)

    @contextmanager
    def _redis_behind_proxy(self, seconds: float) -> Iterator[None]:
        port, moved = self._redis.port, free_port()
        self._redis.listen(moved, now=port)
        try:
            with self._programs.proxy("redis", port, moved, seconds):
                _wait_for_listener(port)
                self._redis.cut(moved)
                yield
        finally:
            self._redis.listen(port, now=moved)
            self._redis.cut(port)

    @contextmanager
    def _auth_behind_proxy(self, name: str, port: int, seconds: float) -> Iterator[None]:
        moved = free_port()
        try:
            self._programs.move_auth(name, moved, kill=True)
            self._readiness.wait(moved, name, START_SECONDS)
            with self._programs.proxy(name, port, moved, seconds):
                _wait_for_listener(port)
                yield
        finally:
            self._programs.move_auth(name, port)
            self._readiness.wait(port, name, START_SECONDS)


def _seconds(round_trip: Callable[[], object]) -> float:
    """Return the seconds of the shortest of a few round trips: of fewer, if they take long."""
    times: list[float] = []
    while len(times) < ROUND_TRIPS and sum(times) < ENOUGH_SECONDS:
        began = time.perf_counter()
        round_trip()
        times.append(time.perf_counter() - began)
    return min(times)


def _get(port: int) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).close()


def _wait_for_listener(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise ClusterError(f"the proxy on port {port} does not start") from None
            time.sleep(0.02)
        else:
            return
