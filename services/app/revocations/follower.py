"""Follows the stream of revocations (`services.common.revocations`) on a Redis connection of its own."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.app.revocations.denylist import Denylist
from services.common.background import repeating
from services.common.http.problems import Unavailable
from services.common.redis_client import SOON_SECONDS, open_redis
from services.common.revocations import MAX_ENTRIES, STREAM, Revocation, read_revocation

log = logging.getLogger(__name__)

BLOCK_SECONDS = 0.5  # how long Redis waits for a new entry before it answers that there is none
PATIENCE_SECONDS = 1.0  # how long we wait for that answer
RETRY_SECONDS = 0.25
AT_A_TIME = 1000
START_SECONDS = 1.0  # how long a starting replica waits to catch up

Listener = Callable[[str, float], Awaitable[Any]]
"""Ends a user's sessions that were created up to a Unix time. If it raises `Unavailable`, it is called again."""


class RevocationFollower:
    """Learns of every revocation a moment after it happens. *clock* returns Unix time.

    After a disconnection, it first reads what was written in the meantime. If Redis has dropped or lost some of it, all
    earlier access tokens are denied: their clients refresh them at the auth service, which knows what was revoked.
    *longest* is the longest lifetime of anything that can be revoked, in seconds.
    """

    def __init__(self, url: str, password: str, *, longest: float, clock: Callable[[], float]) -> None:
        self.denylist = Denylist()
        self._url = url
        self._password = password
        self._longest = longest
        self._clock = clock
        self._listeners: list[Listener] = []
        self._last = "0-0"
        self._known_at = float("-inf")
        self._caught_up = asyncio.Event()

    def tell(self, listener: Listener) -> None:
        """Call *listener* whenever a user's sessions are revoked. Add listeners before the start."""
        self._listeners.append(listener)

    def age(self) -> float:
        """Return the seconds since all revocations were last known here."""
        return asyncio.get_running_loop().time() - self._known_at

    async def missing(self) -> str | None:
        """Require that all revocations have been read once (a `ReadyCheck`)."""
        return None if self._caught_up.is_set() else "revocations have not been read yet"

    async def followed(self, _: web.Application) -> AsyncIterator[None]:
        """Follow while the application runs (for `cleanup_ctx`)."""
        async with repeating(self._follow):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._caught_up.wait(), START_SECONDS)
            yield

    async def _follow(self) -> float:
        """Follow until the connection is lost."""
        patience = {"socket_timeout": PATIENCE_SECONDS, "timeout": PATIENCE_SECONDS, "max_connections": 1}
        known_at = self._known_at
        try:
            async with open_redis(self._url, self._password, **patience) as redis:
                await self._note_a_gap(redis)
                await self._read_on(redis, None)
                while True:
                    await self._read_on(redis, round(1000 * BLOCK_SECONDS))
        except (RedisError, OSError, Unavailable) as error:
            log.warning("revocations: %s; continuing when Redis is back", type(error).__name__)
        return SOON_SECONDS if self._known_at > known_at else RETRY_SECONDS

    async def _read_on(self, redis: Redis, block: int | None) -> None:
        """Read new entries. If there are none, wait for them for up to *block* milliseconds."""
        asked_at = asyncio.get_running_loop().time()
        answer: Any = await redis.xread({STREAM: self._last}, count=AT_A_TIME, block=block)
        entries = answer[0][1] if answer else []
        for entry_id, fields in entries:
            await self._take(fields)
            self._last = entry_id.decode()
        self.denylist.forget(self._clock())
        if len(entries) < AT_A_TIME:  # there were no more
            self._known_at = asked_at
            self._caught_up.set()

    async def _take(self, fields: dict[bytes, bytes]) -> None:
        try:
            revocation = read_revocation(fields)
        except ValueError as error:
            log.error("revocations: ignoring a malformed entry: %s", error)  # noqa: TRY400  # the message says it all
            return
        if revocation.expires < self._clock():
            return
        self.denylist.add(revocation)
        if revocation.kind in ("user", "sessions"):
            await self._end_sessions(revocation)

    async def _end_sessions(self, revocation: Revocation) -> None:
        for listener in self._listeners:
            await listener(revocation.subject, revocation.before)

    async def _note_a_gap(self, redis: Redis) -> None:
        """If entries that may still matter were dropped or lost unread, deny every token that they could apply to.

        The missed entries were written before the first one that is left, and apply to tokens that are older still.
        """
        if not await self._has_gap(redis):
            return
        first: Any = await redis.xrange(STREAM, count=1)
        before = _written_at(first[0][0].decode()) if first else self._clock()
        log.error("revocations: entries after %s were missed; denying all access tokens issued before", self._last)
        self.denylist.deny_everybody(before)

    async def _has_gap(self, redis: Redis) -> bool:
        if self._matters(self._last):
            return not await redis.xrange(STREAM, self._last, self._last)
        length: int = await redis.xlen(STREAM)
        return length >= MAX_ENTRIES

    def _matters(self, entry_id: str) -> bool:
        return _written_at(entry_id) > self._clock() - self._longest


def _written_at(entry_id: str) -> float:
    """Return the Unix time that a stream's entry id begins with."""
    return int(entry_id.partition("-")[0]) / 1000
