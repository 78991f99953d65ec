"""One connection to Redis for the look-ups of every request: all commands of an event-loop turn are sent together.

redis-py spends more CPU on one GET than aiohttp on the whole request (docs/adr/0012-one-link-to-redis.md). This is the
minimum that does the same: hiredis packs commands and parses answers, which arrive in the order of the commands.
Everything else uses redis-py and its pool.

The link is also a circuit breaker. A command that is not answered within `TIMEOUT_SECONDS` ends the connection, and
without a connection every command fails at once, until a new one has been made in the background. If the other side
closes the connection, that says nothing about Redis: the next one is made at once, and commands wait for it.
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
from services.common.background import repeating
from services.common.http.problems import Unavailable
from services.common.redis_client import NO_ANSWER, SOON_SECONDS, TIMEOUT_SECONDS

log = logging.getLogger(__name__)

PING_SECONDS = 0.25  # between two PINGs
RETRY_SECONDS = 0.25  # between attempts to connect; the first one follows `SOON_SECONDS` after a loss


class RedisLink:
    """A connection to the Redis at *url*, which is replaced whenever it is lost.

    With *tracking*, `on_push` is called when a key changes that was read here (`CLIENT TRACKING`), and `on_lost` when
    Redis can no longer report changes. Set both before the start.
    """

    def __init__(self, url: str, password: str, *, tracking: bool = False) -> None:
        self.on_push: OnAnswer = lambda _: None
        self.on_lost: Callable[[], None] = lambda: None
        parsed = parse_url(url)
        self._host, self._port = parsed.get("host", "localhost"), parsed.get("port", 6379)
        self._handshake: list[Command] = [
            ("HELLO", 3, "AUTH", "default", password),
            ("SELECT", parsed.get("db", 0)),
            *([("CLIENT", "TRACKING", "ON")] if tracking else []),
            ("PING",),  # refused while Redis is still loading its data
        ]
        self._connection: RedisConnection | None = None
        self._settled = asyncio.Event()  # cleared when a connection is cut, set after the first attempt to replace it
        self._settled.set()
        self._was_up = False
        self._complaint = ""

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def confirmed_within(self, seconds: float) -> bool:
        """Return whether a command sent within the last *seconds* was answered. Everything before it has arrived."""
        return self._connection is not None and self._connection.silent_for() < seconds

    async def look_up(self, *command: str | bytes | int, on_answer: OnAnswer | None = None) -> Any:
        """Return Redis's answer to a read-only command, which is repeated on the next connection if this one is cut.

        *on_answer* sees the answer (or the error) first, in order with push messages. Raises `ResponseError` if Redis
        refuses the command, OSError or `Unavailable` within `TIMEOUT_SECONDS` if it does not answer, and `Unavailable`
        at once if it is already known not to.
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
        """Return the connection. If it has just been cut, wait for the first attempt to replace it.

        Raises `Unavailable` if there is no connection.
        """
        await self._settled.wait()
        if self._connection is None:
            raise Unavailable(NO_ANSWER)
        return self._connection

    async def missing(self) -> str | None:
        """Require that Redis has answered once (a `ReadyCheck`).

        Later outages leave the replica ready: strategies that need no Redis still work, and the others answer 503.
        """
        return None if self._was_up else "Redis has not answered yet"

    async def kept(self, _: web.Application) -> AsyncIterator[None]:
        """Stay connected while the application runs (for `cleanup_ctx`). A first attempt is made before it starts."""
        async with repeating(self._keep, first_after=await self._reconnect()):
            yield
        self._connection, last = None, self._connection
        if last:
            last.abort()

    async def _keep(self) -> float:
        if (connection := self._connection) is None:
            return await self._reconnect()
        await self._live(connection)
        connection.abort()
        return SOON_SECONDS

    async def _reconnect(self) -> float:
        await self._try_to_connect()
        self._settled.set()
        return SOON_SECONDS if self._connection else RETRY_SECONDS

    async def _live(self, connection: RedisConnection) -> None:
        """Send PINGs and return when one fails (`LOADING` is a failure, too) or the connection is lost."""
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
                await asyncio.gather(*map(connection.ask, self._handshake))
            except BaseException:
                connection.abort()
                raise
        if connection.lost.done():
            raise ConnectionError("connection lost as soon as it was made")
        self._connection, self._was_up, self._complaint = connection, True, ""
        log.info("Redis: connected")

    def _forget(self, connection: RedisConnection) -> None:
        """Note that *connection* is lost."""
        if connection is self._connection:
            self._connection = None
            if connection.cut:
                self._settled.clear()
            log.warning("Redis: connection lost; reconnecting")
            self.on_lost()
