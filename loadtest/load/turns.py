"""The parent's side of `turn_process.py`: clients that keep a server busy for a fixed number of requests each."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from yarl import URL

from loadtest.load.children import Child

READY_SECONDS = 30.0
TURN_SECONDS = 30.0  # above the child's own patience: it knows better what is missing


@dataclass(frozen=True)
class Page:
    """What one login gets: *target* (a URL path), sent with *headers*, must answer with *page* (JSON)."""

    target: str
    headers: Mapping[str, str] = field(repr=False)
    page: Any


class Turns:
    """An async context manager around one client process: entered, it waits to be connected, then for its turns."""

    def __init__(self, name: str, log: Path) -> None:
        self._child = Child(f"the client for {name}", [sys.executable, "-m", "loadtest.load.turn_process"], log)

    async def __aenter__(self) -> Self:
        await self._child.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    async def connect(self, url: str, logins: Sequence[Page], connections: int) -> None:
        """Open *connections* to *url*, spread over *logins*; earlier ones are closed. Raises `GeneratorError`."""
        to = URL(url)
        told = [asdict(login) | {"headers": dict(login.headers)} for login in logins]
        self._child.ask(connect={"host": to.host, "port": to.port, "connections": connections, "logins": told})
        await self._child.expect("connected", READY_SECONDS)

    async def disconnect(self) -> None:
        """Close all connections."""
        self._child.ask(disconnect={})
        await self._child.expect("disconnected", READY_SECONDS)

    async def turn(self, requests: int) -> dict[str, Any]:
        """Send *requests*, one at a time on each connection. Raises `GeneratorError` for any answer that is wrong.

        Return columns of a raw row: *requests*, `seconds`, `bytes_sent`, `bytes_received`, `client_cpu` (seconds).
        """
        self._child.ask(turn={"requests": requests})
        done = await self._child.expect("done", TURN_SECONDS)
        return {name: value for name, value in done.items() if name != "event"}
