"""Who may use the hashing threads now: a turn for each call, dealt out fairly (`fair_queue`)."""

import asyncio
from collections import deque
from typing import NamedTuple

from services.auth.accounts.fair_queue import FairQueue, Holder
from services.common.http.problems import TooManyRequests, Unavailable

WAIT_SECONDS = 8.0  # less than the app (10 s) and nginx (15 s) wait for an answer before they take us for dead
BUSY = "Too many passwords are waiting to be checked."
TOO_MUCH = "Too many passwords from this address or for this account are waiting to be checked."


class Asker(NamedTuple):
    """On whose behalf a password is hashed. *registering*: for an account that is still to be made."""

    address: str
    account: str
    registering: bool = False


class Turns:
    """At most *at_once* callers have a turn. Of the others *places* may wait to register, and as many for all else.

    The two kinds are served alternately while both wait, so that no crowd of registrations delays a login for long.
    """

    def __init__(self, at_once: int, places: int) -> None:
        self._free = at_once
        self._queues: dict[bool, FairQueue[asyncio.Future[None]]] = {
            registering: FairQueue(places) for registering in (False, True)
        }
        self._kinds = deque(self._queues.values())  # in the order of their turns

    async def wait(self, asker: Asker) -> None:
        """Return when it is *asker*'s turn; `done` ends it.

        Raises `TooManyRequests` if too many wait and *asker*'s address or account has most of them, `Unavailable` if
        too many wait and nobody has more than one, or if it takes longer than `WAIT_SECONDS`.
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
        """Wait in *queue*; whoever is cancelled there leaves it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if refused := queue.put(holder, turn):
            why = TooManyRequests(TOO_MUCH, retry_after=1) if refused.took_too_much else Unavailable(BUSY)
            refused.item.set_exception(why)
        try:
            await asyncio.shield(turn)  # only we end it: as long as it is not done, it is in the queue
        except asyncio.CancelledError:
            if not turn.done():
                queue.remove(holder, turn)
            elif turn.exception() is None:  # it came just when the caller went
                self.done()
            raise

    def done(self) -> None:
        """End a turn: the next one begins."""
        for queue in self._kinds:
            if queue:
                self._kinds.remove(queue)
                self._kinds.append(queue)
                queue.take().set_result(None)
                return
        self._free += 1
