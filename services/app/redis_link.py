"""One connection to Redis for what every request asks: all questions of an event-loop turn are sent together.

redis-py spends more CPU on one GET than aiohttp on the whole request (docs/adr/0012-one-link-to-redis.md). This is the
least that asks the same: hiredis packs and parses, answers come in the order of the questions. All else stays with
redis-py and its pool.

The link is a circuit breaker by itself: a question that is not answered within `TIMEOUT_SECONDS` ends the connection,
and without one each question fails at once, until a new connection has been made in the background.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web
from redis.asyncio.connection import parse_url
from redis.exceptions import ResponseError

from services.app.redis_connection import Command, OnAnswer, RedisConnection
from services.common.problems import Unavailable
from services.common.redis_client import TIMEOUT_SECONDS

log = logging.getLogger(__name__)

PING_SECONDS = 0.25  # between two signs of life, also while nobody asks
RETRY_SECONDS = 0.25  # between two attempts to connect


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
        ]
        self._connection: RedisConnection | None = None
        self._was_up = False
        self._complaint = ""

    @property
    def up(self) -> bool:
        """Whether there is a connection that answered a moment ago."""
        return self._connection is not None

    def confirmed_within(self, seconds: float) -> bool:
        """Whether a question was asked so short a time ago whose answer has arrived, with all that came before."""
        return self._connection is not None and self._connection.silent_for() < seconds

    def ask(self, *command: str | bytes | int, on_answer: OnAnswer | None = None) -> asyncio.Future[Any]:
        """Return a future of Redis' answer: a `ResponseError` if it refuses, ConnectionError if it does not answer.

        *on_answer* sees the answer (or the error) first, in order with what Redis says unasked. Raises `Unavailable`
        at once while there is no connection.
        """
        if self._connection is None:
            raise Unavailable("The session store does not answer.")
        return self._connection.ask(command, on_answer)

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
            await asyncio.sleep(RETRY_SECONDS)
            await self._try_to_connect()

    async def _live(self, connection: RedisConnection) -> None:
        """Ask for a sign of life now and then; return when there is none (`LOADING` is none either)."""
        with contextlib.suppress(OSError, ResponseError):
            while not connection.lost.done():
                await connection.ask(("PING",))
                await asyncio.wait({connection.lost}, timeout=PING_SECONDS)

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
            for command in self._introduction:
                await connection.ask(command)
        except BaseException:
            connection.abort()
            raise
        self._connection, self._was_up, self._complaint = connection, True, ""
        log.info("Redis: connected")

    def _forget(self, connection: RedisConnection) -> None:
        """Be without a connection if *connection* was ours."""
        if connection is self._connection:
            self._connection = None
            log.warning("Redis: connection lost; until there is a new one, look-ups are answered 503 at once")
            self.on_lost()
