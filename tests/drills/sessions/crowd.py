"""People who are logged in under several strategies, and use their logins while something breaks."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability, Info
from tests.drills.sessions.traffic import Ask, Busy, until_done
from tests.support.clients.strategy import Account, Login, Site, make_site
from tests.support.cluster import redis_of, until_redis_answers
from tests.support.history import Act, Operation, Terms, faults

PAUSE = 0.05  # between two requests of one client: well below what two cores can do
RECOVERY_SECONDS = 5.0
LEAVERS = 2  # of each strategy


@dataclass
class Group:
    """The people of one strategy, each with one login: *readers*, and *writers* where there is something to write.

    *leavers* log out, one before anything breaks and one during the fault, and keep presenting their credential.
    """

    site: Site
    readers: list[Login] = field(default_factory=list)
    writers: list[Login] = field(default_factory=list)
    leavers: list[Login] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.site.info.name

    @property
    def shared(self) -> bool:
        """Whether every replica knows the logins."""
        return Capability.ANY_REPLICA in self.site.info.capabilities

    @property
    def needs_redis(self) -> bool:
        return {Capability.ATOMIC, Capability.ANY_REPLICA} <= self.site.info.capabilities

    @property
    def stayers(self) -> list[Login]:
        return [*self.readers, *self.writers]

    async def log_in(self, people: Sequence[Account], leavers: Sequence[Account]) -> None:
        """Let *people* log in, half of them writers where possible, plus the *leavers*."""
        capabilities = self.site.info.capabilities
        logins = [await self.site.log_in(account) for account in people]
        split = len(people) // 2 if Capability.VISITS in capabilities else 0
        self.writers, self.readers = logins[:split], logins[split:]
        if Capability.LOGOUT in capabilities:
            self.leavers = [await self.site.log_in(account) for account in leavers]
            await until_done(partial(self.site.log_out, self.leavers[0]), Counter())

    def asks(self) -> list[Ask]:
        """Return what each of them asks again and again."""
        pages = [partial(self.site.page, login) for login in (*self.readers, *self.leavers)]
        return [*pages, *(partial(self.site.visit, login) for login in self.writers)]

    async def leave(self) -> None:
        """Let the last leaver log out at some point."""
        await asyncio.sleep(random.random() * 2)  # before, in or after the fault
        for login in self.leavers[1:]:
            await until_done(partial(self.site.log_out, login), Counter(), not_here=not self.shared)

    async def homes(self) -> dict[str, str]:
        """Return which replica knows each login that has not ended."""
        return {login.id: (await self.site.page(login)).replica for login in (*self.stayers, *self.leavers[1:])}

    def answers(self, act: Act, since: float) -> list[Operation]:
        """Return the answers to those who stay."""
        known = {login.id for login in self.stayers}
        return [one for one in self.site.history if one.act is act and one.login in known and one.began >= since]


class Crowd:
    """People of several strategies who are busy while something breaks."""

    def __init__(self, http: aiohttp.ClientSession, cluster: LocalCluster, infos: Iterable[Info]) -> None:
        self.cluster = cluster
        self.groups = [Group(make_site(cluster, http, info, directly=False)) for info in infos]
        self.seen: Counter[str] = Counter()
        self.recovered: list[float] = []
        """seconds from when Redis was back until all strategies served again"""
        self.since = 0.0

    async def log_in(self, people: int) -> None:
        """Let *people* persons log in under each strategy, and wait until Redis has persisted it.

        First, the load balancer forgets what failed before: who logs in while it avoids all replicas may be moved
        (docs/adr/0002-affinity.md).
        """
        await asyncio.to_thread(self.cluster.reload_load_balancer)
        accounts = [await self.groups[0].site.register() for _ in range(people + LEAVERS)]
        await asyncio.gather(*(group.log_in(accounts[:people], accounts[people:]) for group in self.groups))
        async with redis_of(self.cluster) as store:
            await store.set("saved", "all before this", ex=60)
            assert (await store.waitaof(1, 0, 5000))[0] == 1
        self.since = time.monotonic()

    async def while_busy(self, fault: Callable[[], Awaitable[object]], pause: float = PAUSE) -> None:
        """Run *fault* while everybody is busy. It returns when everything should work again; then everybody asks once
        more.
        """
        busy = Busy((ask for group in self.groups for ask in group.asks()), pause)
        leaving = asyncio.gather(*(group.leave() for group in self.groups))
        try:
            await fault()
            await leaving
        finally:
            await busy.stop()
        for group in self.groups:
            await asyncio.gather(*(group.site.page(login) for login in (*group.stayers, *group.leavers)))
            await asyncio.gather(*(group.site.visit(login) for login in group.writers))

    async def redis_is_back(self) -> None:
        """Return once Redis answers and every strategy serves again, within `RECOVERY_SECONDS`."""
        async with redis_of(self.cluster) as store:
            await until_redis_answers(store)
        back = time.monotonic()
        for group in self.groups:
            while (await group.site.page(group.stayers[0])).status == 503:
                if time.monotonic() > back + RECOVERY_SECONDS:
                    self.seen[f"FAULT {group.name} does not recover"] += 1
                    return
        self.recovered.append(time.monotonic() - back)

    def judge(
        self,
        group: Group,
        *,
        pages: Collection[int] = (200,),
        visits: Collection[int] = (200,),
        terms: Terms | None = None,
    ) -> None:
        """Record the answers to the people of *group*. Anything other than *pages* and *visits*, or a wrong answer, is
        a fault.
        """
        for act, allowed in ((Act.PAGE, pages), (Act.VISIT, visits)):
            for answer in group.answers(act, self.since):
                fault = "" if answer.status in allowed else f"FAULT by {answer.replica or 'nobody'}: "
                self.seen[f"{fault}{group.name}: {act} {answer.status}"] += 1
        self.seen.update(f"FAULT {fault}" for fault in faults(group.site.history, terms or group.site.terms))
