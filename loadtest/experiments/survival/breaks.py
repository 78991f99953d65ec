"""Who is logged out when replicas die, stop, come and go (C4)? Users read my page and count visits all the while.

Users of all strategies, on the listener with affinity and on the one without, live through the same faults.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from loadtest.cluster.protocol import Capability, ClusterError
from loadtest.experiments.experiment import BasePlan, Context
from loadtest.experiments.people import AUTH, log_all_in, open_accounts
from loadtest.experiments.survival.figures import KILL, RELOAD, ROLLING, SCALE_IN, SCALE_OUT, STOP
from loadtest.experiments.survival.users import Case, User, row
from loadtest.load.client import Account

ACCOUNTS = 4
LOOKS = 3
"""Before and after: with round robin over three replicas each is met."""
PAUSE_SECONDS = 0.25
BACK_SECONDS = 60.0


@dataclass(frozen=True)
class Fault:
    """What *happens*, to which replica, and what it *needs* of the engine."""

    name: str
    victim: str
    needs: Capability
    happens: Callable[[], Awaitable[None]]

    def __str__(self) -> str:
        return f"{self.name} of {self.victim}" if self.victim else self.name


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of users of each strategy, and of *passes* over all faults. *after_kill_seconds*: for how long."""

    users: int = 12
    users_without_affinity: int = 5
    passes: int = 1
    after_kill_seconds: float = 1.0


@dataclass
class Survivors:
    """All users, and who logs in anew when a login is lost."""

    context: Context
    plan: Plan
    connector: aiohttp.BaseConnector
    accounts: Sequence[Account]
    stack: AsyncExitStack
    users: list[User] = field(default_factory=list)

    @property
    def cases(self) -> list[Case]:
        """Every strategy behind either listener."""
        return [Case(strategy, affinity) for strategy in self.context.logins() for affinity in (True, False)]

    async def log_in(self) -> list[User]:
        """Let new devices log in, and return those whose logins did not even last until the fault.

        They take the place of those that are logged out, and of all that were at one replica only: who has survived a
        fault is where there was none, and would survive the next one less often.
        """
        users = [user for user in self.users if user.case.everywhere and not user.logged_out]
        new = []
        for case in self.cases:
            number = self.plan.users if case.affinity else self.plan.users_without_affinity
            missing = number - sum(user.case == case for user in users)
            new += [await self._user(case, place) for place in range(missing)]
        await log_all_in((user.client, user.account) for user in new)
        self.users = [*users, *new]
        await asyncio.gather(*(user.look(LOOKS) for user in new))
        return [user for user in new if user.logged_out]

    async def _user(self, case: Case, place: int) -> User:
        client = self.context.client(case.strategy, self.connector, affinity=case.affinity)
        return User(case, await self.stack.enter_async_context(client), self.accounts[place % len(self.accounts)])

    async def live_through(self, happens: Callable[[], Awaitable[None]]) -> None:
        """Let everybody look while it *happens*, and afterwards."""
        async with self._looking():
            await happens()
        await asyncio.gather(*(user.look(LOOKS) for user in self.users))

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        looking = [asyncio.create_task(user.keep_looking(stop, PAUSE_SECONDS)) for user in self.users]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*looking)

    async def all_replicas_serve(self) -> None:
        """Return when the load balancer sends to every replica again, and has forgotten all failures.

        It avoids a replica for a while after a failure (nginx: `fail_timeout`), also when the replica is back. A user
        who logs in meanwhile may be moved (docs/adr/0002-affinity.md), and would be counted as a loss of the next
        fault.
        """
        cluster = self.context.cluster
        if "reload" in cluster.capabilities():
            await asyncio.to_thread(cluster.reload_load_balancer)
        deadline, expected = time.monotonic() + BACK_SECONDS, set(cluster.replicas())
        while missing := await self._unseen(expected):
            if time.monotonic() > deadline:
                raise ClusterError(f"no request reaches {', '.join(sorted(missing))} after {BACK_SECONDS:g} s")
            await asyncio.sleep(0.2)

    async def _unseen(self, expected: set[str]) -> set[str]:
        """Return the replicas that new visitors of some case do not meet."""
        seen = await asyncio.gather(*(self._seen(case, 6 * len(expected)) for case in self.cases))
        return {replica for replica in expected if not all(replica in some for some in seen)}

    async def _seen(self, case: Case, visitors: int) -> set[str]:
        seen = set()
        for _ in range(visitors):
            async with self.context.client(case.strategy, self.connector, affinity=case.affinity) as client:
                seen.add((await client.mypage()).replica or "")
        return seen


async def measure(context: Context, plan: Plan) -> None:
    """Let every fault happen (in every pass), with new logins for those that were lost before."""
    faults = [fault for _ in range(plan.passes) for fault in _faults(context, plan)]
    context.progress.start("killing, stopping, adding and removing replicas", len(faults))
    async with aiohttp.TCPConnector(limit=64) as connector, AsyncExitStack() as stack:
        accounts = await open_accounts(context.cluster, AUTH, ACCOUNTS, connector)
        survivors = Survivors(context, plan, connector, accounts, stack)
        for number, fault in enumerate(faults):
            if fault.needs not in context.cluster.capabilities():
                context.not_measured(str(fault), f"{context.cluster.engine} cannot {fault.needs}")
            else:
                with context.attempt(str(fault)):
                    await _round(survivors, number, fault)
            context.progress.advance()


async def _round(survivors: Survivors, number: int, fault: Fault) -> None:
    """Let one fault happen, and record what it did to the users of each case."""
    await survivors.all_replicas_serve()
    for user in survivors.users:
        if not user.logged_out:
            user.forget()
    lost_before = await survivors.log_in()
    await survivors.live_through(fault.happens)
    for case in survivors.cases:
        mine = [user for user in survivors.users if user.case == case]
        record = row(case, mine, lost_before)
        survivors.context.record(round=number, fault=fault.name, victim=fault.victim, **record)


def _faults(context: Context, plan: Plan) -> list[Fault]:
    """Return every fault: each replica is killed, one is stopped, all are, one goes, one comes, nginx reloads."""
    cluster, replicas = context.cluster, context.cluster.replicas()

    async def kill(victim: str) -> None:
        await asyncio.to_thread(cluster.kill, victim)
        await asyncio.sleep(plan.after_kill_seconds)
        await asyncio.to_thread(cluster.wait_ready)

    def scaled(name: str, number: int, victim: str = "") -> Fault:
        return Fault(name, victim, "scale", partial(asyncio.to_thread, cluster.scale, number))

    *others, last = replicas
    kills = [Fault(KILL, victim, "kill", partial(kill, victim)) for victim in replicas]
    stop = Fault(STOP, last, "stop", partial(asyncio.to_thread, cluster.restart, last))
    rolling = Fault(ROLLING, "", "stop", partial(asyncio.to_thread, cluster.rolling_restart))
    scaling = [scaled(SCALE_IN, len(others), last), scaled(SCALE_OUT, len(replicas))] if others else []
    reload = Fault(RELOAD, "", "reload", partial(asyncio.to_thread, cluster.reload_load_balancer))
    return [*kills, stop, rolling, *scaling, reload]
