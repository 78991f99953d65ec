"""Turns at the hashing threads: one for each call, given out fairly (`fair_queue`)."""

import asyncio
from collections import deque
from typing import NamedTuple

from services.auth.accounts.fair_queue import FairQueue, Holder
from services.common.http.problems import TooManyRequests, Unavailable

WAIT_SECONDS = 8.0  # less than the app's time-out (10 s) and nginx's (15 s)
BUSY = "Too many passwords are waiting to be checked. Please try again."
TOO_MUCH = "Too many passwords from your address or for this account are waiting to be checked. Please try again."


class Asker(NamedTuple):
    """On whose behalf a password is hashed. *registering*: for an account that is being created."""

    address: str
    account: str
    registering: bool = False


class Turns:
    """Gives turns to *at_once* callers at a time. *places* others may wait to register, and as many for anything else.

    The two kinds are served alternately while both wait, so that a crowd of registrations delays no login for long.
    """

    def __init__(self, at_once: int, places: int) -> None:
        self._free = at_once
        self._queues: dict[bool, FairQueue[asyncio.Future[None]]] = {
            registering: FairQueue(places) for registering in (False, True)
        }
        self._kinds = deque(self._queues.values())  # in the order of their turns

    async def wait(self, asker: Asker) -> None:
        """Wait for *asker*'s turn, which `done` ends.

        Raises `TooManyRequests` if the queue is full and *asker*'s address or account holds the most places,
        `Unavailable` if it is full and nobody holds more than one place, or if the wait exceeds `WAIT_SECONDS`.
        """
        if self._free:
            self._free -= 1
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._queue_up(self._queues[asker.registering], Holder(asker.address, asker.account))
        except TimeoutError:
            raise Unavailable(BUSY) from None

    async def _queue_up(self, queue: FairQueue[asyncio.Future[None]], holder: Holder) -> None:
        """Wait in *queue*. A cancelled caller leaves it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if refused := queue.put(holder, turn):
            why = TooManyRequests(TOO_MUCH, retry_after=1) if refused.took_too_much else Unavailable(BUSY)
            refused.item.set_exception(why)
        try:
            await asyncio.shield(turn)  # so that it is in the queue for as long as it is not done
        except asyncio.CancelledError:
            if not turn.done():
                queue.remove(holder, turn)
            elif turn.exception() is None:  # it came just as the caller was cancelled
                self.done()
            raise

    def done(self) -> None:
        """End a turn and begin the next one."""
        for queue in self._kinds:
            if queue:
                self._kinds.remove(queue)
                self._kinds.append(queue)
                queue.take().set_result(None)
                return
        self._free += 1
