"""A client of the auth service on a real cluster."""

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtest.cluster.local import LocalCluster
from tests.support.clients.answer import Answer

TIMEOUT = aiohttp.ClientTimeout(total=20)


class Auth:
    """A client of the auth service, asking one process after the other or the load balancer."""

    def __init__(self, http: aiohttp.ClientSession, bases: Sequence[str]) -> None:
        self._http = http
        self._bases = bases
        self._turn = 0
        self._credentials: dict[str, str] = {}

    async def post(self, path: str, base: str | None = None, **what: Any) -> Answer:
        """POST to *base*, or to the next process in turn."""
        self._turn += 1
        return await self.send("POST", (base or self._bases[self._turn % len(self._bases)]) + path, **what)

    async def send(self, method: str, url: str, **what: Any) -> Answer:
        try:
            async with self._http.request(method, url, **what) as response:
                text = await response.read()
                body = await response.json() if b"{" in text[:1] else {}
                return Answer(response.status, body, response.headers)
        except aiohttp.ClientConnectionError:
            return Answer()

    async def register(self) -> dict[str, str]:
        """Open an account and return its credentials."""
        credentials = {"username": f"race-{secrets.token_hex(6)}", "password": secrets.token_urlsafe(16)}
        answer = await self.post("/auth/users", json=credentials)
        assert answer.status == 201, answer
        return credentials

    async def login(self, credentials: dict[str, str]) -> dict[str, Any]:
        """Log in and return the tokens."""
        answer = await self.post("/auth/login", json=credentials)
        assert answer.status == 200, answer
        return answer.body

    async def refresh(self, token: str, base: str | None = None) -> Answer:
        return await self.post("/auth/token", base, data={"grant_type": "refresh_token", "refresh_token": token})

    async def revoke(self, token: str) -> Answer:
        return await self.post("/auth/revoke", data={"token": token})


@asynccontextmanager
async def auth_of(cluster: LocalCluster, *, directly: bool) -> AsyncIterator[Auth]:
    """Yield a client of all auth processes in turn (*directly*), or of the load balancer."""
    bases = auth_bases(cluster) if directly else [cluster.url]
    connector, jar = aiohttp.TCPConnector(limit=0), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=TIMEOUT) as http:
        yield Auth(http, bases)


def auth_bases(cluster: LocalCluster) -> list[str]:
    return [f"http://127.0.0.1:{port}" for port in cluster.topology.auth_ports()]


@dataclass(frozen=True)
class Timed:
    """One answer and the seconds that it took."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    seconds: float


async def timed(http: aiohttp.ClientSession, method: str, url: str, **what: Any) -> Timed:
    began = time.perf_counter()
    async with http.request(method, url, **what) as answer:
        body = await answer.json(content_type=None)
        return Timed(answer.status, dict(answer.headers), body, time.perf_counter() - began)
