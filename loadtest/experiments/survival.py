"""Who is logged out when a replica dies (C4)? Users read my page all the while; each replica is killed in turn.

Users of all strategies, on the listener with affinity and on the one without, live through the same kills.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from loadtest.client import Account, Client, Strategy, register
from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.experiment import Context, WrongAnswer
from loadtest.intervals import Interval, proportion_interval

EXPERIMENT = "survival"
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

    @property
    def labels(self) -> dict[str, str]:
        """Return what tells this case's figures from others."""
        return {"affinity": str(self.affinity).lower()}


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


@dataclass
class Tally:
    """What happened to the users of one case, over all kills."""

    users: int = 0
    lost_before: int = 0
    lost_after: int = 0
    gets: int = 0
    errors: int = 0

    @property
    def intact(self) -> int:
        """Return how many users were logged in when the replica was killed."""
        return self.users - self.lost_before


async def run(context: Context) -> None:
    """Kill each replica once (per pass), with new logins before each kill."""
    cases = [Case(strategy, affinity) for strategy in context.logins() for affinity in (True, False)]
    tallies = {case: Tally() for case in cases}
    victims = context.cluster.replicas() * context.plan.survival_passes
    context.progress.start("killing replicas", len(victims))
    async with aiohttp.TCPConnector(limit=64) as connector:
        async with context.client(context.strategies[0], connector) as client:
            accounts = [await register(client) for _ in range(ACCOUNTS)]
        for victim in victims:
            await _all_replicas_serve(context, cases, connector)
            async with _logged_in(context, cases, connector, accounts) as users:
                await _kill(context, victim, users, tallies)
            context.progress.advance()
    _figures(context, tallies)


@asynccontextmanager
async def _logged_in(
    context: Context, cases: Sequence[Case], connector: aiohttp.BaseConnector, accounts: Sequence[Account]
) -> AsyncIterator[list[User]]:
    users: list[User] = []
    try:
        for case in cases:
            users += _users(context, case, connector)
        limit = asyncio.Semaphore(LOGINS_AT_ONCE)
        await asyncio.gather(*(_login(limit, user, accounts[i % len(accounts)]) for i, user in enumerate(users)))
        yield users
    finally:
        await asyncio.gather(*(user.client.close() for user in users))


def _users(context: Context, case: Case, connector: aiohttp.BaseConnector) -> list[User]:
    """Return new users of *case*, not yet logged in; half as many without affinity."""
    number = context.plan.survival_users // (1 if case.affinity else 2)
    return [User(case, context.client(case.strategy, connector, affinity=case.affinity)) for _ in range(number)]


async def _login(limit: asyncio.Semaphore, user: User, account: Account) -> None:
    async with limit:
        answer = await user.client.login(account)
    if answer.status != 200:
        raise WrongAnswer(f"{user.case.strategy.name}: login: status {answer.status or 'none'}, must be 200")


async def _kill(context: Context, victim: str, users: Sequence[User], tallies: dict[Case, Tally]) -> None:
    """Look, kill while everybody looks, wait until the replica is back, look again; then count."""
    await asyncio.gather(*(user.look(LOOKS) for user in users))
    before = [user.statuses[401] > 0 for user in users]
    stop = asyncio.Event()
    walks = [asyncio.create_task(user.keep_looking(stop)) for user in users]
    try:
        await asyncio.to_thread(context.cluster.kill, victim)
        await asyncio.sleep(context.plan.after_kill_seconds)
        await asyncio.to_thread(context.cluster.wait_ready)
    finally:
        stop.set()
        await asyncio.gather(*walks)
    await asyncio.gather(*(user.look(LOOKS) for user in users))
    for user, lost in zip(users, before, strict=True):
        _count(tallies[user.case], user, lost)


def _count(tally: Tally, user: User, lost_before: bool) -> None:
    """Add *user*; no answer at all counts like a 5xx: the load balancer itself was not killed."""
    tally.users += 1
    tally.lost_before += lost_before
    tally.lost_after += not lost_before and user.statuses[401] > 0
    tally.gets += user.statuses.total()
    tally.errors += sum(number for status, number in user.statuses.items() if status == 0 or status >= 500)


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


def _figures(context: Context, tallies: dict[Case, Tally]) -> None:
    expected = 100 / len(context.cluster.replicas())
    context.add(EXPERIMENT, "expected", "expected_logged_out", "%", Interval(expected, None, None, 1), fault="kill -9")
    for case, tally in tallies.items():
        name, labels = case.strategy.name, case.labels
        nothing = _percent(tally.lost_before, tally.users)
        context.add(EXPERIMENT, name, "logged_out", "%", nothing, fault="none", **labels)
        if tally.intact:
            lost = _percent(tally.lost_after, tally.intact)
            context.add(EXPERIMENT, name, "logged_out", "%", lost, fault="kill -9", **labels)
        errors = Interval(tally.errors, None, None, tally.gets)
        context.add(EXPERIMENT, name, "http_5xx", "count", errors, fault="kill -9", **labels)


def _percent(part: int, whole: int) -> Interval:
    share = proportion_interval(part, whole)
    low, high = (None if bound is None else 100 * bound for bound in (share.low, share.high))
    return Interval(100 * share.value, low, high, share.n)
