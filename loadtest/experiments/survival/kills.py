"""Who is logged out when a replica dies (C4)? Users read my page all the while; each replica is killed in turn.

Users of all strategies, on the listener with affinity and on the one without, live through the same kills.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.experiment import BasePlan, Context, WrongAnswer
from loadtest.load.client import Account, Client, Strategy, register

ACCOUNTS = 4
LOGINS_AT_ONCE = 8
LOOKS = 6
"""GETs before and after: with round robin over three replicas each is met twice."""
PAUSE_SECONDS = 0.25
BACK_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """One strategy behind one listener."""

    strategy: Strategy
    affinity: bool


@dataclass
class User:
    """One logged-in device and the statuses of its GETs."""

    case: Case
    client: Client
    statuses: Counter[int] = field(default_factory=Counter)

    async def look(self, times: int = 1) -> None:
        """Get my page and note the status."""
        for _ in range(times):
            self.statuses[(await self.client.mypage()).status] += 1

    async def keep_looking(self, stop: asyncio.Event) -> None:
        """Get my page again and again until *stop*."""
        while not stop.is_set():
            await self.look()
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass(frozen=True)
class Plan(BasePlan):
    """So many users of each strategy, and kills of each replica. *after_kill_seconds*: how long users look on."""

    users: int = 15
    passes: int = 1
    after_kill_seconds: float = 2.0


async def measure(context: Context, plan: Plan) -> None:
    """Kill each replica once (per pass), with new logins before each kill."""
    cases = [Case(strategy, affinity) for strategy in context.logins() for affinity in (True, False)]
    victims = context.cluster.replicas() * plan.passes
    context.progress.start("killing replicas", len(victims))
    async with aiohttp.TCPConnector(limit=64) as connector:
        async with context.client(context.strategies[0], connector) as client:
            accounts = [await register(client) for _ in range(ACCOUNTS)]
        for number, victim in enumerate(victims):
            await _all_replicas_serve(context, cases, connector)
            async with _logged_in(context, plan, cases, connector, accounts) as users:
                lost_before = await _kill(context, plan, victim, users)
            for case in cases:
                context.record(round=number, victim=victim, **_row(case, users, lost_before))
            context.progress.advance()


@asynccontextmanager
async def _logged_in(
    context: Context, plan: Plan, cases: Sequence[Case], connector: aiohttp.BaseConnector, accounts: Sequence[Account]
) -> AsyncIterator[list[User]]:
    users: list[User] = []
    try:
        for case in cases:
            users += _users(context, plan, case, connector)
        limit = asyncio.Semaphore(LOGINS_AT_ONCE)
        await asyncio.gather(*(_login(limit, user, accounts[i % len(accounts)]) for i, user in enumerate(users)))
        yield users
    finally:
        await asyncio.gather(*(user.client.close() for user in users))


def _users(context: Context, plan: Plan, case: Case, connector: aiohttp.BaseConnector) -> list[User]:
    """Return new users of *case*, not yet logged in; half as many without affinity."""
    number = plan.users // (1 if case.affinity else 2)
    return [User(case, context.client(case.strategy, connector, affinity=case.affinity)) for _ in range(number)]


async def _login(limit: asyncio.Semaphore, user: User, account: Account) -> None:
    async with limit:
        answer = await user.client.login(account)
    if answer.status != 200:
        raise WrongAnswer(f"{user.case.strategy.name}: login: status {answer.status or 'none'}, must be 200")


async def _kill(context: Context, plan: Plan, victim: str, users: Sequence[User]) -> set[int]:
    """Look, kill while everybody looks, wait until the replica is back, look again.

    Return who had lost their login before the kill (as places in *users*).
    """
    await asyncio.gather(*(user.look(LOOKS) for user in users))
    before = {place for place, user in enumerate(users) if user.statuses[401]}
    stop = asyncio.Event()
    walks = [asyncio.create_task(user.keep_looking(stop)) for user in users]
    try:
        await asyncio.to_thread(context.cluster.kill, victim)
        await asyncio.sleep(plan.after_kill_seconds)
        await asyncio.to_thread(context.cluster.wait_ready)
    finally:
        stop.set()
        await asyncio.gather(*walks)
    await asyncio.gather(*(user.look(LOOKS) for user in users))
    return before


def _row(case: Case, users: Sequence[User], lost_before: set[int]) -> dict[str, Any]:
    """Return what one kill did to the users of *case*. No answer at all counts like a 5xx: nginx was not killed."""
    mine = {place: user for place, user in enumerate(users) if user.case == case}
    statuses = sum((user.statuses for user in mine.values()), Counter[int]())
    return {
        "strategy": case.strategy.name,
        "affinity": case.affinity,
        "users": len(mine),
        "lost_before": len(lost_before & mine.keys()),
        "lost_after": sum(place not in lost_before and user.statuses[401] > 0 for place, user in mine.items()),
        "gets": statuses.total(),
        "errors": sum(number for status, number in statuses.items() if status == 0 or status >= 500),
    }


async def _all_replicas_serve(context: Context, cases: Sequence[Case], connector: aiohttp.BaseConnector) -> None:
    """Wait until the load balancer sends to every replica again.

    It avoids a replica for a while after a failure (nginx: `fail_timeout`), also when the replica is back. A user who
    logs in meanwhile is moved once that time is over, and would be counted as a loss of the next kill.
    """
    deadline = time.monotonic() + BACK_SECONDS
    expected = set(context.cluster.replicas())
    for case in cases:
        while not expected <= (seen := await _replicas_seen(context, case, connector, 8 * len(expected))):
            if time.monotonic() > deadline:
                missing = ", ".join(sorted(expected - seen))
                raise ClusterError(f"no request for {case.strategy.name} reaches {missing} after {BACK_SECONDS:g} s")
            await asyncio.sleep(0.5)


async def _replicas_seen(context: Context, case: Case, connector: aiohttp.BaseConnector, looks: int) -> set[str | None]:
    """Return the replicas that *looks* new visitors meet."""
    seen = set()
    for _ in range(looks):
        async with context.client(case.strategy, connector, affinity=case.affinity) as client:
            seen.add((await client.mypage()).replica)
    return seen
