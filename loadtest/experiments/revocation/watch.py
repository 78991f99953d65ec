"""Asks every replica without pause whether a login is still good, and keeps every answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from loadtest.cluster.protocol import Cluster, ClusterError
from loadtest.load.client import TIMEOUT, Client
from loadtest.results.model import Row

SETTLED = 4
"""The number of refusals in a row after which a replica is taken to refuse for good."""
GLANCE_SECONDS = 0.005
SILENT_SECONDS = 15.0


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent, and the status of its answer (0: none came)."""

    sent: float
    status: int


@dataclass
class Watch:
    """What each of *targets* (URLs of my page, by replica) says to the credential in *headers*."""

    targets: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    answers: dict[str, list[Asked]] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster, client: Client) -> "Watch":
        """Return a watch over the login of *client*, past the load balancer where replicas can be reached."""
        path = f"/{client.strategy.name}/mypage"
        bases = cluster.replica_urls() or {"loadbalancer": cluster.url}
        return cls({name: base + path for name, base in bases.items()}, client.credential(path))

    @asynccontextmanager
    async def kept(self, http: aiohttp.ClientSession, askers: int, pause: float = 0.0) -> AsyncIterator[None]:
        """Let *askers* clients at each replica ask during the block, with a *pause* (seconds) between two requests."""
        over = asyncio.Event()
        asking = [
            asyncio.create_task(self._ask_on(http, name, over, pause)) for name in self.targets for _ in range(askers)
        ]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*asking)

    async def _ask_on(self, http: aiohttp.ClientSession, replica: str, over: asyncio.Event, pause: float) -> None:
        while not over.is_set():
            sent = time.perf_counter()
            try:
                async with http.get(self.targets[replica], headers=self.headers) as answer:
                    await answer.read()
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError):
                status = 0
            self.answers.setdefault(replica, []).append(Asked(sent, status))
            await asyncio.sleep(pause)

    async def until_refused(self, since: float, patience: float) -> None:
        """Return when every replica refuses what is sent after *since*, or has accepted it for *patience* seconds.

        Raises `ClusterError` if a replica hardly answers at all, which says nothing.
        """
        began = time.perf_counter()
        while not all(self._settled(replica, since) for replica in self.targets):
            waited = time.perf_counter() - began
            silent = [replica for replica in self.targets if len(self._late(replica, since)) < SETTLED]
            if waited > patience and not silent:
                return
            if waited > patience + SILENT_SECONDS:
                raise ClusterError(f"{', '.join(silent)} did not answer for {waited:.0f} s while a login was ended")
            await asyncio.sleep(GLANCE_SECONDS)

    def accepted_before(self, moment: float) -> list[str]:
        """Return the replicas that knew the login before *moment*."""
        return [
            replica
            for replica, answers in self.answers.items()
            if any(one.status == HTTPStatus.OK for one in answers if one.sent < moment)
        ]

    def statuses_before(self, moment: float) -> set[int]:
        """Return the statuses of the answers to what was sent before *moment* (0: no answer)."""
        return {one.status for answers in self.answers.values() for one in answers if one.sent < moment} or {0}

    def row(self, replica: str, since: float) -> Row:
        """Return what *replica* answered to what was sent after *since*: `last_seconds` is when it last accepted."""
        late = self._late(replica, since)
        accepted = [one.sent - since for one in late if one.status == HTTPStatus.OK]
        return {
            "replica": replica,
            "asked": len(late),
            "accepted": len(accepted),
            "last_seconds": max(accepted, default=0.0),
            "held": self._settled(replica, since),
        }

    def _late(self, replica: str, since: float) -> list[Asked]:
        """Return the answers to what was sent to *replica* after *since*."""
        return [one for one in self.answers.get(replica, ()) if one.sent > since and one.status]

    def _settled(self, replica: str, since: float) -> bool:
        last = self._late(replica, since)[-SETTLED:]
        return len(last) == SETTLED and all(one.status != HTTPStatus.OK for one in last)


@asynccontextmanager
async def asker(connector: aiohttp.BaseConnector) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that sends no more than it is told to."""
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        connector=connector, connector_owner=False, cookie_jar=jar, timeout=TIMEOUT
    ) as session:
        yield session
