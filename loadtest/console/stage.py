"""What is going on: the cluster, everybody on the screen, the history, and who is doing what to them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from loadtest.cluster.protocol import Cluster, ClusterError, CpuReading, Process
from loadtest.console.administrator import Administrator
from loadtest.console.crowd import Crowd
from loadtest.console.history import Entry, History
from loadtest.load.client import Strategy

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.4


class Stage:
    """Shared by everything that the console does. *token_seconds*: how long an access token lives."""

    def __init__(
        self, cluster: Cluster, crowd: Crowd, history: History, administrator: Administrator, token_seconds: float
    ) -> None:
        self.token_seconds = token_seconds
        self.cluster = cluster
        self.crowd = crowd
        self.history = history
        self.administrator = administrator
        self.replicas = cluster.replicas()
        """those that there were in the beginning"""
        self.processes: Sequence[Process] = ()
        self.gone = ""
        """why the cluster does not answer, if it does not"""
        self.step = 0
        """of the tour, from 1; 0 is before it"""
        self.subject = 0
        """the seat of the person whom the step of the tour is about"""
        self.preparing = False
        """whether the step of the tour has yet to begin, because something is still going on or broken"""
        self.disabled: set[int] = set()
        """seats of people whose accounts are disabled"""
        self._acting = 0
        self._metering = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0

    @property
    def strategies(self) -> Sequence[Strategy]:
        """The rows."""
        return self.crowd.strategies

    def quiet(self) -> bool:
        """Return whether no click is being carried out."""
        return not self._acting and not self.gone

    def out_of_order(self) -> bool:
        """Return whether something is broken, or somebody is not logged in."""
        broken = any(process.state != "alive" for process in self.processes)
        missing = any(visitor.out_of_order for visitor in self.crowd.all_visitors())
        return broken or missing or bool(self.disabled) or not self.crowd.affinity

    async def read_cpu(self) -> CpuReading | None:
        """Read the CPU clocks; None while they cannot be read."""
        async with self._metering:
            if not self.quiet():
                return None
            with suppress(ClusterError):
                return await asyncio.to_thread(self.cluster.cpu)
        return None

    def act(self, action: str, work: Callable[[Entry], Awaitable[None]], **what: object) -> asyncio.Task[None]:
        """Begin *work*, as a click on the timeline."""
        self._numbers += 1
        entry = Entry(self._numbers, time.time(), time.monotonic(), action, **what)  # type: ignore[arg-type]  # its own
        self.history.click(entry)
        task = asyncio.create_task(self._act(entry, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _act(self, entry: Entry, work: Callable[[Entry], Awaitable[None]]) -> None:
        problem = ""
        async with self._metering:
            self._acting += 1
        try:
            await work(entry)
        except ClusterError as error:
            problem = str(error).partition("\n")[0]
        except Exception:
            log.exception("%s failed", entry.action)
            problem = "unexpected"
        finally:
            self._acting -= 1
            self.history.done(entry, problem)
            await self.look()

    async def watch(self) -> None:
        """Look at the cluster's processes for ever."""
        while True:
            await self.look()
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self) -> None:
        """Look at the cluster's processes."""
        try:
            self.processes, self.gone = await asyncio.to_thread(self.cluster.processes), ""
        except (ClusterError, OSError) as error:
            self.gone = str(error).partition("\n")[0]

    async def finished(self) -> None:
        """Wait until every click has been carried out."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Wait for nothing that is going on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
