"""Who takes turns: a client process for each strategy, one more for the control, and one for the bare server."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtest.cluster.protocol import Cluster, CpuReading, CpuUse, Metered
from loadtest.experiments.correctness import is_page
from loadtest.experiments.cost.figures import NULL
from loadtest.experiments.experiment import BasePlan, Context
from loadtest.experiments.people import log_in
from loadtest.load.bare_process import NAME, BareServer
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.load.turns import Page, Turns

AT_ONCE = 4
GLANCE_SECONDS = 0.002
QUIET_SHARE = 0.02
QUIET_SECONDS = 0.1


@dataclass(frozen=True)
class TurnPlan(BasePlan):
    """What turns are like: requests that are not counted and those that are, connections, logins they are spread over.

    *idle_seconds*: how long to look at what everything costs while nothing is sent.
    """

    warm_up: int = 128
    requests: int = 128
    connections: int = 32
    logins: int = 4
    idle_seconds: float = 0.3


@dataclass(frozen=True)
class Place:
    """Where turns are taken: at one *replica*, whose address is *url*; through nginx that is nginx' own."""

    path: str
    replica: str
    url: str


@dataclass(frozen=True)
class Contestant:
    """A client process, and whose answers it gets: those of *strategy* on *cluster*, or else those of *bare*."""

    name: str
    turns: Turns
    cluster: Cluster
    strategy: Strategy | None = None
    bare: BareServer | None = None

    @property
    def served_by(self) -> Metered:
        """Whose CPU a turn costs."""
        return self.bare or self.cluster

    def process(self, place: Place) -> str:
        """Return the name of the process of the app tier that answers."""
        return NAME if self.bare else place.replica

    def pids(self, place: Place) -> Iterator[int]:
        """Yield every process that takes part in a turn: client, nginx, Redis, and the one that answers."""
        yield self.turns.pid
        for name, process in self.served_by.cpu().processes.items():
            if process.tier in ("loadbalancer", "redis") or name == self.process(place):
                yield process.pid

    async def connect(self, place: Place, accounts: Sequence[Account], connections: int) -> Sequence[Page]:
        """Open new connections to *place*, for new logins of *accounts*, and return what is sent over them.

        Raises `WrongAnswer`, `GeneratorError`.
        """
        if self.strategy:
            url, logins = place.url, await pages(self.cluster, place, self.strategy, accounts)
        else:
            assert self.bare is not None  # noqa: S101  # somebody must answer
            url, logins = self.bare.url, [Page("/", {}, json.loads(self.bare.body))]
        await self.turns.connect(url, logins, connections)
        return logins

    async def turn(self, place: Place, plan: TurnPlan) -> dict[str, Any]:
        """Take one turn and return its row. Clocks are read while nothing is in flight, and when all is quiet.

        The first requests are not counted, because the previous turn has filled the core's caches.
        """
        await self.turns.turn(plan.warm_up)
        before = self.served_by.cpu()
        turn = await self.turns.turn(plan.requests)
        used = (await quiet(self.served_by)).since(before)
        return {"process": self.process(place), **turn, **cpu_columns(used, self.process(place))}

    async def idle(self, place: Place, seconds: float) -> dict[str, Any]:
        """Return a row of what it costs that everything is connected and nothing is sent."""
        before = self.served_by.cpu()
        await asyncio.sleep(seconds)
        used = self.served_by.cpu().since(before)
        return {"process": self.process(place), **cpu_columns(used, self.process(place))}


async def quiet(served_by: Metered) -> CpuReading:
    """Return a reading once all processes are idle: what answers leave to be done belongs to them, too.

    Idle is below 2 % of a core. A process that is not idle after 0.1 s has other work.
    """
    reading = served_by.cpu()
    for _ in range(round(QUIET_SECONDS / GLANCE_SECONDS)):
        await asyncio.sleep(GLANCE_SECONDS)
        earlier, reading = reading, served_by.cpu()
        if all(use.seconds <= QUIET_SHARE * use.elapsed for use in reading.since(earlier).values()):
            break
    return reading


def cpu_columns(used: Mapping[str, CpuUse], replica: str) -> dict[str, float]:
    """Return `cpu_TIER` and `elapsed_TIER`, both in seconds. Of the app tier, only *replica* counts: it was asked."""
    columns: dict[str, float] = {}
    for name, use in used.items():
        if use.tier != "loadgen" and (use.tier != "app" or name == replica):
            cpu, elapsed = f"cpu_{use.tier}", f"elapsed_{use.tier}"
            columns[cpu] = columns.get(cpu, 0.0) + use.seconds
            columns[elapsed] = max(columns.get(elapsed, 0.0), use.elapsed)
    return columns


async def start(context: Context, stack: AsyncExitStack, bare: BareServer | None) -> list[Contestant]:
    """Start a client process for everybody who takes turns; *stack* ends them."""
    control, cluster, found = context.control(), context.cluster, []
    who: list[tuple[str, Strategy | None]] = [(one.name, one) for one in context.strategies]
    who += [(NULL, control)] if control else []
    who += [(NAME, None)] if bare else []
    for name, strategy in who:
        turns = await stack.enter_async_context(Turns(name, context.logs / f"turns-{name.replace(' ', '-')}.log"))
        found.append(Contestant(name, turns, cluster, strategy, None if strategy else bare))
    return found


async def open_accounts(cluster: Cluster, strategy: Strategy, number: int) -> list[Account]:
    """Open the accounts that will log in."""
    async with aiohttp.TCPConnector() as connector, Client(cluster.url, strategy, connector) as client:
        return [await register(client) for _ in range(number)]


async def pages(cluster: Cluster, place: Place, strategy: Strategy, accounts: Sequence[Account]) -> list[Page]:
    """Log in every account of *accounts* anew and return what the logins must be answered at *place*.

    Raises `WrongAnswer` unless each is answered with its own page.
    """
    limit = asyncio.Semaphore(AT_ONCE)
    # Tokens come from the auth service, which is behind the load balancer only.
    base = cluster.url if "any-replica" in strategy.capabilities else place.url
    async with aiohttp.TCPConnector() as connector:

        async def page(account: Account | None) -> Page:
            async with limit, Client(base, strategy, connector) as device:
                return await _page(place, device, account)

        return await asyncio.gather(*map(page, [None] if strategy.is_control else accounts))


async def _page(place: Place, device: Client, account: Account | None) -> Page:
    if account:
        await log_in(device, account)
    answer = await device.mypage()
    is_page(device.strategy, answer, account)
    target = f"/{device.strategy.name}/mypage"
    return Page(target, device.credential(target), answer.body | {"replica": place.replica})
