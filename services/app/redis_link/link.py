"""One connection to Redis for what every request asks: all questions of an event-loop turn are sent together.

redis-py spends more CPU on one GET than aiohttp on the whole request (docs/adr/0012-one-link-to-redis.md). This is the
least that asks the same: hiredis packs and parses, answers come in the order of the questions. All else stays with
redis-py and its pool.

The link is a circuit breaker by itself: a question that is not answered within `TIMEOUT_SECONDS` ends the connection,
and without one each question fails at once, until a new connection has been made in the background. A connection that
the other side closes says nothing about Redis, though: the next one is made at once, and questions wait for that.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web
from redis.asyncio.connection import parse_url
from redis.exceptions import ResponseError

from services.app.redis_link.connection import Command, LostError, OnAnswer, RedisConnection
from services.common.http.problems import Unavailable
from services.common.redis_client import SOON_SECONDS, TIMEOUT_SECONDS

log = logging.getLogger(__name__)

PING_SECONDS = 0.25  # between two signs of life, also while nobody asks
RETRY_SECONDS = 0.25  # between two attempts to connect; the first one after a loss is made after `SOON_SECONDS`


class RedisLink:
    """A connection to the Redis at *url* that is made again whenever it is lost.

    *tracking*: Redis tells `on_push` which keys changed that were asked for here (`CLIENT TRACKING`), and `on_lost` is
    called the moment when it cannot any more. Whoever wants to know sets both.
    """

    def __init__(self, url: str, password: str, *, tracking: bool = False) -> None:
        self.on_push: OnAnswer = lambda _: None
        self.on_lost: Callable[[], None] = lambda: None
        place = parse_url(url)
        self._host, self._port = place.get("host", "localhost"), place.get("port", 6379)
        self._introduction: list[Command] = [
            ("HELLO", 3, "AUTH", "default", password),
            ("SELECT", place.get("db", 0)),
            *([("CLIENT", "TRACKING", "ON")] if tracking else []),
            ("PING",),  # refused while Redis is still loading its data
        ]
        self._connection: RedisConnection | None = None
        self._settled = asyncio.Event()  # cleared from when a connection is cut until the first attempt at another ends
        self._settled.set()
        self._was_up = False
        self._complaint = ""

    @property
    def up(self) -> bool:
        """Whether there is a connection that answered a moment ago."""
        return self._connection is not None

    def confirmed_within(self, seconds: float) -> bool:
        """Whether a question was asked so short a time ago whose answer has arrived, with all that came before."""
        return self._connection is not None and self._connection.silent_for() < seconds

    async def look_up(self, *command: str | bytes | int, on_answer: OnAnswer | None = None) -> Any:
        """Return Redis' answer to a command that only reads: if its connection is cut, it is sent again on the next.

        *on_answer* sees the answer (or the error) first, in order with what Redis says unasked. Raises `ResponseError`
        if Redis refuses, OSError or `Unavailable` within `TIMEOUT_SECONDS` if it does not answer, and `Unavailable` at
        once if it did not answer before.
        """
        if self._connection is None:
            return await self._ask_when_connected(command, on_answer, asyncio.get_running_loop().time())
        try:
            return await self._connection.ask(command, on_answer)
        except LostError as lost:
            return await self._ask_when_connected(command, on_answer, lost.asked_at)

    async def _ask_when_connected(self, command: Command, on_answer: OnAnswer | None, asked_at: float) -> Any:
        async with asyncio.timeout_at(asked_at + TIMEOUT_SECONDS):
            while True:
                connection = await self.connected()
                with contextlib.suppress(LostError):
                    return await connection.ask(command, on_answer)

    async def connected(self) -> RedisConnection:
        """Return the connection; if it has just been cut, wait for the first attempt to make another.

        Raises `Unavailable` if there is none.
        """
        await self._settled.wait()
        if self._connection is None:
            raise Unavailable("The session store does not answer.")
        return self._connection

    async def missing(self) -> str | None:
        """Return what is missing (a `ReadyCheck`): Redis must have answered once.

        Later outages leave the replica ready: the strategies that need no Redis still serve, the others say 503.
        """
        return None if self._was_up else "Redis has not answered yet"

    async def kept(self, _: web.Application) -> AsyncIterator[None]:
        """Keep a connection while the application runs (for `cleanup_ctx`); a first attempt is made before it does."""
        await self._try_to_connect()
        keeping = asyncio.create_task(self._keep())
        yield
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        self._connection, last = None, self._connection
        if last:
            last.abort()

    async def _keep(self) -> None:
        while True:
            if connection := self._connection:
                await self._live(connection)
                connection.abort()
            await asyncio.sleep(SOON_SECONDS if connection else RETRY_SECONDS)
            await self._try_to_connect()
            self._settled.set()

    async def _live(self, connection: RedisConnection) -> None:
        """Ask for a sign of life now and then; return when there is none (`LOADING` is none either)."""
        with contextlib.suppress(OSError, ResponseError):
            while not connection.lost.done():
                await asyncio.wait({connection.lost}, timeout=PING_SECONDS)
                await connection.ask(("PING",))

    async def _try_to_connect(self) -> None:
        try:
            await self._connect()
        except (OSError, ResponseError) as error:  # a TimeoutError is an OSError
            reason = str(error) if isinstance(error, ResponseError) else type(error).__name__
            if reason != self._complaint:
                log.warning("Redis: not connected: %s", reason)
            self._complaint = reason

    async def _connect(self) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: RedisConnection(lambda message: self.on_push(message), self._forget), self._host, self._port
            )
            try:
                await asyncio.gather(*map(connection.ask, self._introduction))
            except BaseException:
                connection.abort()
                raise
        if connection.lost.done():
            raise ConnectionError("lost as soon as it was made")
        self._connection, self._was_up, self._complaint = connection, True, ""
        log.info("Redis: connected")

    def _forget(self, connection: RedisConnection) -> None:
        """Be without a connection if *connection* was ours."""
        if connection is self._connection:
            self._connection = None
            if connection.cut:
                self._settled.clear()
            log.warning("Redis: connection lost; reconnecting")
            self.on_lost()
