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
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, cast

import hiredis
from aiohttp import web
from redis.asyncio.connection import parse_url
from redis.exceptions import ResponseError

from services.common.problems import Unavailable
from services.common.redis_client import TIMEOUT_SECONDS

log = logging.getLogger(__name__)

PING_SECONDS = 0.25  # between two signs of life, also while nobody asks
GRACE_SECONDS = 0.02  # for an answer that was not read in time
RETRY_SECONDS = 0.25  # between two attempts to connect
INCOMPLETE = object()

Command = Sequence[str | bytes | int]
OnAnswer = Callable[[Any], None]


class _Question(NamedTuple):
    future: asyncio.Future[Any]
    asked_at: float
    on_answer: OnAnswer | None


class _Connection(asyncio.Protocol):
    """Questions and answers on one connection. *on_push* gets what Redis says unasked (RESP 3), *on_lost* itself."""

    def __init__(self, on_push: OnAnswer, on_lost: "Callable[[_Connection], None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._on_push = on_push
        self._on_lost = on_lost
        self._parser = hiredis.Reader(replyError=ResponseError, notEnoughData=INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._waiting: deque[_Question] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self.confirmed_at = float("-inf")
        """When the last answered question was asked (the loop's clock): by its answer, all before it had arrived."""
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def ask(self, command: Command, on_answer: OnAnswer | None = None) -> asyncio.Future[Any]:
        """Send *command*; the answer comes with the future, but first and in the order of arrival to *on_answer*."""
        if self.lost.done():
            raise ConnectionError("the connection is lost")
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
        question = _Question(self._loop.create_future(), self._loop.time(), on_answer)
        self._waiting.append(question)
        if self._watch is None:
            self._watch = self._loop.call_later(TIMEOUT_SECONDS, self._check)
        return question.future

    def abort(self) -> None:
        """Close at once; whoever waits gets a ConnectionError."""
        self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected (asyncio's call)."""
        self._transport = cast(asyncio.Transport, transport)  # that of a TCP connection; uvloop's has no such base

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Fail all that is unanswered (asyncio's call, or ours)."""
        if self.lost.done():
            return
        self.lost.set_result(None)
        if self._transport:
            self._transport.abort()
        if self._watch:
            self._watch.cancel()
        for question in self._waiting:
            if not question.future.done():
                question.future.set_exception(ConnectionError("the connection is lost"))
        self._waiting.clear()
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        """Hand out answers (asyncio's call)."""
        self._parser.feed(data)
        try:
            while (answer := self._parser.gets()) is not INCOMPLETE:
                self._hand_out(answer)
        except (hiredis.ProtocolError, IndexError):  # what Redis would never say
            log.exception("Redis: an answer that is none")
            self.abort()

    def _hand_out(self, answer: Any) -> None:
        if isinstance(answer, hiredis.PushNotification):
            self._on_push(answer)
            return
        question = self._waiting.popleft()
        self.confirmed_at = question.asked_at
        if question.on_answer:
            question.on_answer(answer)
        if question.future.done():  # nobody waits any more
            return
        if isinstance(answer, ResponseError):
            question.future.set_exception(answer)
        else:
            question.future.set_result(answer)

    def _send(self) -> None:
        if self._transport and not self.lost.done():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _check(self, suspect: _Question | None = None) -> None:
        """End the connection if its oldest question has waited for too long; else look again when it might have.

        Whoever is overdue is looked at twice: if it was our loop that was late, the answer has arrived and is not read
        yet.
        """
        self._watch = None
        if not self._waiting:
            return
        oldest = self._waiting[0]
        left = oldest.asked_at + TIMEOUT_SECONDS - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._check)
        elif oldest is not suspect:
            self._watch = self._loop.call_later(GRACE_SECONDS, self._check, oldest)
        else:
            log.warning("Redis: no answer within %g s", TIMEOUT_SECONDS)
            self.abort()


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
        self._connection: _Connection | None = None
        self._was_up = False
        self._complaint = ""

    @property
    def up(self) -> bool:
        """Whether there is a connection that answered a moment ago."""
        return self._connection is not None

    @property
    def confirmed_at(self) -> float:
        """When the last question was asked (the loop's clock) whose answer has arrived, with all that came before."""
        return self._connection.confirmed_at if self._connection else float("-inf")

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

    async def _live(self, connection: _Connection) -> None:
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
                lambda: _Connection(lambda message: self.on_push(message), self._forget), self._host, self._port
            )
        try:
            for command in self._introduction:
                await connection.ask(command)
        except BaseException:
            connection.abort()
            raise
        self._connection, self._was_up, self._complaint = connection, True, ""
        log.info("Redis: connected")

    def _forget(self, connection: _Connection) -> None:
        """Be without a connection if *connection* was ours."""
        if connection is self._connection:
            self._connection = None
            log.warning("Redis: connection lost; until there is a new one, look-ups are answered 503 at once")
            self.on_lost()
