"""How large a cluster is and where it listens: from `.env`, or on free ports for clusters that live for one run."""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from dotenv import dotenv_values

from loadtest.cluster.protocol import ClusterError

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = (
    "AUTH_ALGORITHM",
    "ACCESS_TOKEN_SECONDS",
    "REFRESH_IDLE_SECONDS",
    "REFRESH_ABSOLUTE_SECONDS",
    "SESSION_IDLE_SECONDS",
    "SESSION_ABSOLUTE_SECONDS",
    "SESSION_LIMIT",
    "SESSION_LIMIT_POLICY",
)
"""What `.env` must have for the services. Whatever else it has is for them, too: settings of strategies' own."""
ELSEWHERE = ("LOCUST_PORT", "CONSOLE_PORT")
"""What `.env` has for other programs."""
OPTIONAL = (
    "AUTH_AUDIENCE",
    "AUTH_RSA_BITS",
    "DRAIN_SECONDS",
    "FAILURES_PER_ACCOUNT",
    "FAILURES_PER_ADDRESS",
    "FAILURES_PER_PAIR",
    "JWKS_MAX_AGE_SECONDS",
    "JWKS_MAX_STALE_SECONDS",
    "JWKS_REFRESH_SECONDS",
    "KEY_POLL_SECONDS",
    "KEY_PUBLISH_SECONDS",
    "PASSWORD_QUEUE",
    "PASSWORD_THREADS",
    "REFRESH_GRACE_SECONDS",
)
"""Further settings that services read from the environment, with defaults."""


FIRST_PORT, LAST_PORT = 20_000, 32_000
_given: list[int] = []
"""Ends of the blocks of ports that this process has given away, in order."""


@dataclass(frozen=True)
class Topology:
    """Process counts and TCP ports on the loopback address. Process N (from 1) of a service listens on its port + N."""

    app_replicas: int
    auth_replicas: int
    lb_port: int
    lb_port_no_affinity: int
    auth_port: int
    app_port: int
    redis_port: int
    settings: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_environment(cls) -> Self:
        """Read `.env`; the environment wins over it (`LB_PORT=9080 make up`). Raises `ClusterError`."""
        described = dotenv_values(REPOSITORY / ".env")
        values = described | os.environ
        names = [name for name in cls.__dataclass_fields__ if name != "settings"]
        try:
            numbers = {name: _positive(name.upper(), values.get(name.upper())) for name in names}
        except ValueError as error:
            raise ClusterError(f"{error}: see the comments in .env") from None
        if missing := [name for name in SETTINGS if not values.get(name)]:
            raise ClusterError(f"{', '.join(missing)}: not set: see the comments in .env")
        others = [name for name in described if name not in (*SETTINGS, *map(str.upper, names), *ELSEWHERE)]
        return cls(**numbers, settings=tuple((name, str(values[name])) for name in (*SETTINGS, *others)))

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """Return this topology with other values of some settings, or further ones."""
        return replace(self, settings=tuple({**dict(self.settings), **settings}.items()))

    def on_free_ports(self) -> Self:
        """Return this topology on ports that are free now."""
        first = _free_block(4 + self.auth_replicas + self.app_replicas)
        return replace(
            self,
            lb_port=first,
            lb_port_no_affinity=first + 1,
            redis_port=first + 2,
            auth_port=first + 2,
            app_port=first + 2 + self.auth_replicas,
        )

    def ports(self) -> dict[int, str]:
        """Return every port that the cluster will listen on, with the setting that decides it."""
        single = {name: getattr(self, name) for name in ("lb_port", "lb_port_no_affinity", "redis_port")}
        named = {port: name.upper() for name, port in single.items()}
        named |= dict.fromkeys(self.auth_ports(), "AUTH_PORT")
        return named | dict.fromkeys(self.app_ports(), "APP_PORT")

    def auth_ports(self) -> range:
        """Return the ports of the auth service's processes."""
        return range(self.auth_port + 1, self.auth_port + self.auth_replicas + 1)

    def app_ports(self) -> range:
        """Return the ports of the replicas."""
        return range(self.app_port + 1, self.app_port + self.app_replicas + 1)

    def environment(self) -> dict[str, str]:
        """Return what supervisord.conf and the services read."""
        names = (name for name in self.__dataclass_fields__ if name != "settings")
        return {name.upper(): str(getattr(self, name)) for name in names} | dict(self.settings)


def console_port() -> int:
    """Return where the console listens, by `.env` and the environment. Raises `ClusterError`."""
    values = dotenv_values(REPOSITORY / ".env") | os.environ
    try:
        return _positive("CONSOLE_PORT", values.get("CONSOLE_PORT"))
    except ValueError as error:
        raise ClusterError(f"{error}: see the comments in .env") from None


def is_free(port: int) -> bool:
    """Return whether a server could listen on *port* of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of the loopback address that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _positive(name: str, text: str | None) -> int:
    if not (text or "").isdecimal() or int(text or "") == 0:
        raise ValueError(f"{name} is {text!r}, not a whole number above 0")
    return int(text or "")


def _free_block(size: int) -> int:
    """Return the first of *size* consecutive free ports, above the privileged and below the ephemeral ones.

    One call's ports are not given to the next: a cluster that was just described may not listen yet.
    """
    for first in _candidates(size):
        if all(is_free(port) for port in range(first, first + size)):
            _given.append(first + size)
            return first
    raise ClusterError(f"no {size} consecutive free ports between {FIRST_PORT} and {LAST_PORT}")


def _candidates(size: int) -> Iterator[int]:
    """Yield where blocks may begin: behind the last one that was given; where that is at the end, from the start."""
    start = _given[-1] if _given else FIRST_PORT + os.getpid() % 500 * 20
    yield from range(start, LAST_PORT - size, size)
    yield from range(FIRST_PORT, start, size)
