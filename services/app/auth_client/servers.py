"""The auth service's processes, called in turn, so that a replica depends on none of them in particular."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy

log = logging.getLogger(__name__)

LEFT_OUT_SECONDS = 2.0  # as in the load balancer's server lists
CONNECT_SECONDS = 1.0
KEEPALIVE_SECONDS = 2.0  # as in the load balancer; below DRAIN_SECONDS, after which a stopping server closes them


@dataclass(frozen=True)
class AuthAnswer:
    """A response of the auth service."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class AuthServers:
    """Sends each request to the next of *bases* (`http://host:port`), or to another one if that cannot be reached.

    For a while after a failure, a server is tried last, but it is still tried. *clock* returns monotonic seconds.
    """

    def __init__(self, bases: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bases = [base.rstrip("/") for base in bases]
        self._clock = clock
        self._failed_at: dict[str, float] = {}
        self._next = 0
        self._http: aiohttp.ClientSession | None = None

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """Keep connections open while the application runs (for `cleanup_ctx`)."""
        connector, jar = aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_SECONDS), aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as self._http:
            yield

    def in_turn(self) -> list[str]:
        """Return the servers in the order in which to try them."""
        first, self._next = self._next, (self._next + 1) % len(self._bases)
        rotated = self._bases[first:] + self._bases[:first]
        since = self._clock() - LEFT_OUT_SECONDS
        return sorted(rotated, key=lambda base: self._failed_at.get(base, float("-inf")) > since)

    async def ask(self, method: str, path: str, *, seconds: float, **what: Any) -> AuthAnswer:
        """Return the first response, whatever its status. The request must be safe to repeat.

        If the connection breaks, the next server is tried. If the response takes longer than *seconds*, it is not,
        because the first server may still be working on the request. The last server is tried twice if it was
        reachable, because it may just have closed an idle connection. Raises `aiohttp.ClientError` or TimeoutError if
        there is no response.
        """
        *others, last = self.in_turn()
        for base in others:
            try:
                return await self._ask_one(base, method, path, seconds, what)
            except aiohttp.ClientConnectionError as error:
                log.warning("%s: %s; trying another server", base, type(error).__name__)
        try:
            return await self._ask_one(last, method, path, seconds, what)
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            raise
        except aiohttp.ClientConnectionError as error:
            log.warning("%s: %s; trying once more", last, type(error).__name__)
        return await self._ask_one(last, method, path, seconds, what)

    async def fetch(self, path: str, *, seconds: float) -> bytes:
        """Return the body of a GET. A status other than 200 raises `aiohttp.ClientError`, too."""
        answer = await self.ask("GET", path, seconds=seconds)
        if answer.status != 200:
            raise aiohttp.ClientPayloadError(f"status {answer.status}")
        return answer.body

    async def _ask_one(self, base: str, method: str, path: str, seconds: float, what: dict[str, Any]) -> AuthAnswer:
        assert self._http is not None, "used before start-up"  # noqa: S101  # a bug, not an error of a request
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
        try:
            async with self._http.request(method, base + path, timeout=timeout, **what) as response:
                return AuthAnswer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError):
            self._failed_at[base] = self._clock()
            raise
