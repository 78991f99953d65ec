"""Follows the stream of `services.common.revocations`, on a connection to Redis of its own."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.app.revocations.denylist import Denylist
from services.common.http.problems import Unavailable
from services.common.redis_client import SOON_SECONDS, open_redis
from services.common.revocations import MAX_ENTRIES, STREAM, Revocation, read_revocation

log = logging.getLogger(__name__)

BLOCK_SECONDS = 0.5  # Redis answers at the latest after this: a sign of life
PATIENCE_SECONDS = 1.0  # for that answer, in all
RETRY_SECONDS = 0.25
CANCEL_SECONDS = 0.1
AT_A_TIME = 1000
START_SECONDS = 1.0  # the longest that a replica's start waits to have caught up

Listener = Callable[[str, float], Awaitable[Any]]
"""Ends a user's sessions that were created until a Unix time. May raise `Unavailable`; it will be called again."""


class RevocationFollower:
    """All revocations, as known here a moment after they happened. *clock* returns Unix time.

    What was written while this replica was away is read before anything new is; where that is not possible any more
    (Redis has dropped or lost entries), all earlier access tokens are denied: their clients refresh, and the auth
    service knows. *longest* is the longest life of what can be revoked, in seconds.
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
        """Let *listener* end a user's sessions whenever that is told. To be called before the start."""
        self._listeners.append(listener)

    def age(self) -> float:
        """Return how many seconds ago, at most, all revocations were known here."""
        return asyncio.get_running_loop().time() - self._known_at

    async def missing(self) -> str | None:
        """Return what is missing (a `ReadyCheck`): after the start, all revocations must have been read once."""
        return None if self._caught_up.is_set() else "what has been revoked is not known yet"

    async def followed(self, _: web.Application) -> AsyncIterator[None]:
        """Follow while the application runs (for `cleanup_ctx`)."""
        following = asyncio.create_task(self._follow_for_ever())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._caught_up.wait(), START_SECONDS)
        yield
        while not following.done():  # redis-py 8.1 swallows a cancellation now and then: one is not enough
            following.cancel()
            await asyncio.wait({following}, timeout=CANCEL_SECONDS)

    async def _follow_for_ever(self) -> None:
        patience = {"socket_timeout": PATIENCE_SECONDS, "timeout": PATIENCE_SECONDS, "max_connections": 1}
        while True:
            known_at = self._known_at
            try:
                async with open_redis(self._url, self._password, **patience) as redis:
                    await self._note_a_gap(redis)
                    await self._read_on(redis, None)
                    while True:
                        await self._read_on(redis, round(1000 * BLOCK_SECONDS))
            except (RedisError, OSError, Unavailable) as error:
                log.warning("revocations: %s; reading on when Redis is back", type(error).__name__)
            await asyncio.sleep(SOON_SECONDS if self._known_at > known_at else RETRY_SECONDS)

    async def _read_on(self, redis: Redis, block: int | None) -> None:
        """Read what there is; if there is nothing, wait for it for *block* milliseconds."""
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
            log.error("revocations: ignoring a malformed entry: %s", error)  # noqa: TRY400  # the reason is all there is
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
        """Deny what cannot be judged if entries that might still matter were dropped or lost before they were read.

        All that is lost was written before the first entry that is there, and means tokens that are older still.
        """
        if not await self._has_gap(redis):
            return
        first: Any = await redis.xrange(STREAM, count=1)
        before = _written_at(first[0][0].decode()) if first else self._clock()
        log.error("revocations: entries after %s are gone unread: access tokens of before are denied", self._last)
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
