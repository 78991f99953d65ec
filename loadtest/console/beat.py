"""Lets the rows take turns: in its turn, everybody in a row asks for my page at once.

So a row's cost can be metered as `docs/method.md` has it: the CPU clocks are read before the first request of a turn
and after its last answer, with nothing else in flight.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from statistics import median
from typing import TypeVar

from loadtest.cluster.protocol import ClusterError, CpuReading
from loadtest.console.crowd import Crowd
from loadtest.console.visitor import Visitor
from loadtest.load.client import Answer, Strategy

PERIOD_SECONDS = 0.5
"""In which everybody asks once: twice a second."""
VISIT_EVERY = 4
"""Every fourth turn, each user with state also counts a visit."""
LATENCY_SECONDS = 5.0
COSTS = 40
"""The last turns whose median is a row's cost: those of half a minute at most."""
FOREIGN = frozenset({"loadgen", "proxy"})
"""Tiers whose CPU is no part of what a request costs."""

T = TypeVar("T")


class Meter:
    """What the last answers of one row took and cost."""

    def __init__(self) -> None:
        self._latencies: deque[tuple[float, float]] = deque()
        self._costs: deque[float] = deque(maxlen=COSTS)

    def took(self, ended: float, seconds: float) -> None:
        """Note that an answer came at *ended* (monotonic) and took *seconds*."""
        self._latencies.append((ended, seconds))

    def cost(self, seconds: float) -> None:
        """Note the CPU *seconds* that a request cost."""
        self._costs.append(seconds)

    def latencies(self, now: float) -> tuple[float, float] | None:
        """Return the median and the 99th percentile of the last seconds; None if there was no answer."""
        while self._latencies and self._latencies[0][0] < now - LATENCY_SECONDS:
            self._latencies.popleft()
        ordered = sorted(seconds for _, seconds in self._latencies)
        return (ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]) if ordered else None

    def cpu(self) -> float | None:
        """Return the CPU seconds that a request costs; None if no turn could be metered."""
        return median(self._costs) if self._costs else None


class Beat:
    """Turns of the rows of *crowd*. *read* reads the cluster's CPU clocks, or returns None if they cannot be read."""

    def __init__(self, crowd: Crowd, read: Callable[[], Awaitable[CpuReading | None]]) -> None:
        self.meters = {strategy.name: Meter() for strategy in crowd.strategies}
        self._crowd = crowd
        self._read = read
        self._tasks: set[asyncio.Task[object]] = set()
        self._round = 0

    async def run(self) -> None:
        """Run until cancelled."""
        slot = PERIOD_SECONDS / len(self._crowd.strategies)
        due = time.monotonic()
        while True:
            for strategy in self._crowd.strategies:
                await self.turn(strategy, slot)
                due = max(due + slot, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
            self._round += 1

    async def close(self) -> None:
        """Give up what is in flight."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def turn(self, strategy: Strategy, slot: float | None = None) -> None:
        """Let everybody in a row ask, and meter it; go on after *slot* seconds even if somebody still waits."""
        ready = [one for one in self._crowd.rows[strategy.name] if one.present and not one.busy]
        thieves = [one for one in self._crowd.thieves[strategy.name] if not one.busy and not one.logged_out]
        meter = self.meters[strategy.name]
        before = await self._read() if self._still(ready) else None
        idle = [one for one in (*ready, *thieves) if not one.busy]  # somebody may have begun to log in meanwhile
        looks = [self._start(self._look(visitor, meter)) for visitor in idle]
        pending = (await asyncio.wait(looks, timeout=slot))[1] if looks else set()
        if before and not pending and all(look.result().status == 200 for look in looks) and self._still(ready):
            await self._settle(meter, before, len(looks))
        self._visits([one for one in ready if not one.busy])

    async def answered(self) -> None:
        """Wait until no request is in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _settle(self, meter: Meter, before: CpuReading, requests: int) -> None:
        after = await self._read()
        if after is None:
            return
        try:
            used = after.since(before)
        except ClusterError:  # a process ended meanwhile
            return
        meter.cost(sum(use.seconds for use in used.values() if use.tier not in FOREIGN) / requests)

    def _still(self, ready: Collection[Visitor]) -> bool:
        """Return whether nothing is in flight and all of a full row is there to be asked."""
        return len(ready) >= self._crowd.size and not any(v.busy for v in self._crowd.all_visitors())

    async def _look(self, visitor: Visitor, meter: Meter) -> Answer:
        began = time.monotonic()
        answer = await visitor.look()
        ended = time.monotonic()
        if answer.status:
            meter.took(ended, ended - began)
        return answer

    def _visits(self, row: Sequence[Visitor]) -> None:
        """Let a part of *row* count a visit, and those refresh their tokens whose time has come."""
        for visitor in row:
            if visitor.refresh_is_due():
                self._start(visitor.refresh(self._crowd.refresh_after))
            elif visitor.counts_visits() and (self._round + visitor.seat) % VISIT_EVERY == 0:
                self._start(visitor.visit())

    def _start(self, call: Coroutine[None, None, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
