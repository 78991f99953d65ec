"""One connection to Redis with many commands in flight, answered in order. hiredis parses, as in redis-py."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import hiredis
from redis.exceptions import ResponseError

from services.common.redis_client import TIMEOUT_SECONDS

log = logging.getLogger(__name__)

GRACE_SECONDS = 0.02  # for an answer that has arrived, but was not read in time
INCOMPLETE = object()

Command = Sequence[str | bytes | int]
OnAnswer = Callable[[Any], None]


class LostError(ConnectionError):
    """The connection was lost before a command was answered. It was sent at *asked_at*, in the event loop's time."""

    def __init__(self, asked_at: float) -> None:
        super().__init__("connection lost")
        self.asked_at = asked_at


class _Pending(NamedTuple):
    future: asyncio.Future[Any]
    asked_at: float
    on_answer: OnAnswer | None


class RedisConnection(asyncio.Protocol):
    """Sends commands and hands out answers. Calls *on_push* with push messages (RESP 3), *on_lost* with itself."""

    def __init__(self, on_push: OnAnswer, on_lost: "Callable[[RedisConnection], None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._on_push = on_push
        self._on_lost = on_lost
        self._parser = hiredis.Reader(replyError=ResponseError, notEnoughData=INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._waiting: deque[_Pending] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._confirmed_at = float("-inf")
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.cut = False
        """whether the other side closed the connection, in which case Redis may well be up"""

    def ask(self, command: Command, on_answer: OnAnswer | None = None) -> asyncio.Future[Any]:
        """Send *command* and return a future for its answer. Before, *on_answer* is called in the order of arrival."""
        if self.lost.done():
            raise LostError(self._loop.time())
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
        pending = _Pending(self._loop.create_future(), self._loop.time(), on_answer)
        self._waiting.append(pending)
        if self._watch is None:
            self._watch = self._loop.call_later(TIMEOUT_SECONDS, self._check)
        return pending.future

    def silent_for(self) -> float:
        """Return the seconds since the last answered command was sent. Everything before it has arrived."""
        return self._loop.time() - self._confirmed_at

    def abort(self) -> None:
        """Close at once. Unanswered commands raise `LostError`."""
        if self.lost.done():
            return
        self.lost.set_result(None)
        if self._transport:
            self._transport.abort()
        if self._watch:
            self._watch.cancel()
        for pending in self._waiting:
            if not pending.future.done():
                pending.future.set_exception(LostError(pending.asked_at))
        self._waiting.clear()
        self._on_lost(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport (called by asyncio)."""
        self._transport = cast(asyncio.Transport, transport)  # for TCP; uvloop's class does not derive from it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Fail all unanswered commands (called by asyncio)."""
        if not self.lost.done():
            self.cut = True
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Hand out answers (called by asyncio)."""
        self._parser.feed(data)
        try:
            while (answer := self._parser.gets()) is not INCOMPLETE:
                self._hand_out(answer)
        except (hiredis.ProtocolError, IndexError):  # Redis would never send that
            log.exception("Redis: unusable answer")
            self.abort()

    def _hand_out(self, answer: Any) -> None:
        if isinstance(answer, hiredis.PushNotification):
            self._on_push(answer)
            return
        pending = self._waiting.popleft()
        self._confirmed_at = pending.asked_at
        if pending.on_answer:
            pending.on_answer(answer)
        if pending.future.done():  # cancelled
            return
        if isinstance(answer, ResponseError):
            pending.future.set_exception(answer)
        else:
            pending.future.set_result(answer)

    def _send(self) -> None:
        if self._transport and not self._transport.is_closing() and not self.lost.done():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _check(self, suspect: _Pending | None = None) -> None:
        """Close the connection if its oldest command has waited too long; otherwise, check again when it would have.

        An overdue command is checked twice: if our own event loop is late, its answer may have arrived unread.
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
