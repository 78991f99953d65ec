"""One connection to Redis with many questions in flight, answered in order, on redis-py's parser (hiredis)."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import hiredis
from redis.exceptions import ResponseError

from services.common.redis_client import TIMEOUT_SECONDS

log = logging.getLogger(__name__)

GRACE_SECONDS = 0.02  # for an answer that was not read in time
INCOMPLETE = object()

Command = Sequence[str | bytes | int]
OnAnswer = Callable[[Any], None]


class LostError(ConnectionError):
    """The connection was lost before it answered a question that was asked at *asked_at* (the event loop's time)."""

    def __init__(self, asked_at: float) -> None:
        super().__init__("the connection is lost")
        self.asked_at = asked_at


class _Question(NamedTuple):
    future: asyncio.Future[Any]
    asked_at: float
    on_answer: OnAnswer | None


class RedisConnection(asyncio.Protocol):
    """Questions and answers on one connection. *on_push* gets what Redis says unasked (RESP 3), *on_lost* itself."""

    def __init__(self, on_push: OnAnswer, on_lost: "Callable[[RedisConnection], None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._on_push = on_push
        self._on_lost = on_lost
        self._parser = hiredis.Reader(replyError=ResponseError, notEnoughData=INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._waiting: deque[_Question] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._confirmed_at = float("-inf")
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.cut = False
        """whether it was lost because the other side closed it, so that Redis may well be there"""

    def ask(self, command: Command, on_answer: OnAnswer | None = None) -> asyncio.Future[Any]:
        """Send *command*; the answer comes with the future, but first and in the order of arrival to *on_answer*."""
        if self.lost.done():
            raise LostError(self._loop.time())
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
        question = _Question(self._loop.create_future(), self._loop.time(), on_answer)
        self._waiting.append(question)
        if self._watch is None:
            self._watch = self._loop.call_later(TIMEOUT_SECONDS, self._check)
        return question.future

    def silent_for(self) -> float:
        """Return how long ago the last answered question was asked (seconds): all before it has arrived."""
        return self._loop.time() - self._confirmed_at

    def abort(self) -> None:
        """Close at once; whoever waits gets a ConnectionError."""
        if self.lost.done():
            return
        self.lost.set_result(None)
        if self._transport:
            self._transport.abort()
        if self._watch:
            self._watch.cancel()
        for question in self._waiting:
            if not question.future.done():
                question.future.set_exception(LostError(question.asked_at))
        self._waiting.clear()
        self._on_lost(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected (asyncio's call)."""
        self._transport = cast(asyncio.Transport, transport)  # that of a TCP connection; uvloop's has no such base

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Fail all that is unanswered (asyncio's call)."""
        if not self.lost.done():
            self.cut = True
            self.abort()

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
        self._confirmed_at = question.asked_at
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
