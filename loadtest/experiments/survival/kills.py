"""Who is logged out when a replica dies (C4)? Users read my page all the while; each replica is killed in turn.

Users of all strategies, on the listener with affinity and on the one without, live through the same kills.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.experiment import Context, WrongAnswer, figure
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import Interval, mean

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


async def measure(context: Context) -> None:
    """Kill each replica once (per pass), with new logins before each kill."""
    cases = [Case(strategy, affinity) for strategy in context.logins() for affinity in (True, False)]
    victims = context.cluster.replicas() * context.plan.survival_passes
    context.progress.start("killing replicas", len(victims))
    async with aiohttp.TCPConnector(limit=64) as connector:
        async with context.client(context.strategies[0], connector) as client:
            accounts = [await register(client) for _ in range(ACCOUNTS)]
        for number, victim in enumerate(victims):
            await _all_replicas_serve(context, cases, connector)
            async with _logged_in(context, cases, connector, accounts) as users:
                lost_before = await _kill(context, victim, users)
            for case in cases:
                context.record(round=number, victim=victim, **_row(case, users, lost_before))
            context.progress.advance()


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return what kills did. The sample is the kill: users of one kill share its fate."""
    found = [Figure(EXPERIMENT, "expected", "expected_users_lost", "%", 100 / config["replicas"])] if rows else []
    cases: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        cases.setdefault((row["strategy"], row["affinity"]), []).append(row)
    for (strategy, affinity), kills in cases.items():
        found += _figures(strategy, kills, affinity=str(affinity).lower())
    return found


def _figures(strategy: str, kills: Sequence[Row], **labels: str) -> list[Figure]:
    def add(metric: str, unit: str, interval: Interval, **more: str) -> Figure:
        return figure(EXPERIMENT, strategy, metric, unit, interval, **labels, **more)

    before = [100 * kill["lost_before"] / kill["users"] for kill in kills]
    found = [add("users_lost", "%", mean_of_kills(before), fault="none")]
    intact = [kill for kill in kills if kill["users"] > kill["lost_before"]]
    if intact:
        after = [100 * kill["lost_after"] / (kill["users"] - kill["lost_before"]) for kill in intact]
        lossy = exact_percent(sum(share > 0 for share in after), len(after))
        found.append(add("users_lost", "%", mean_of_kills(after), fault="kill -9"))
        found.append(add("kills_with_losses", "%", lossy, fault="kill -9"))
    errors, gets = (sum(kill[what] for kill in kills) for what in ("errors", "gets"))
    return [*found, add("http_5xx", "count", Interval(errors, None, None, gets), fault="kill -9")]


def mean_of_kills(percents: Sequence[float]) -> Interval:
    """Return the mean of percentages, one per kill, with Student's interval within 0 to 100.

    Kills that all ended alike say nothing of how kills differ. Then the interval is what the exact one for "the next
    kill ends like these" allows: after three kills without a loss, a mean loss of up to 71 %.
    """
    found = mean(percents)
    if found.low is None or found.high is None:
        return found
    if found.low == found.high:
        alike = float(scipy.stats.binomtest(found.n, found.n).proportion_ci(method="exact").low)
        return replace(found, low=alike * found.value, high=alike * found.value + 100 * (1 - alike))
    return replace(found, low=max(0.0, found.low), high=min(100.0, found.high))


def exact_percent(part: int, whole: int) -> Interval:
    """Return *part* of *whole* in percent, with the exact interval (Clopper and Pearson)."""
    found = scipy.stats.binomtest(part, whole).proportion_ci(method="exact")
    return Interval(100 * part / whole, 100 * float(found.low), 100 * float(found.high), whole)


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


async def _kill(context: Context, victim: str, users: Sequence[User]) -> set[int]:
    """Look, kill while everybody looks, wait until the replica is back, look again.

    Return who had lost their login before the kill (as places in *users*).
    """
    await asyncio.gather(*(user.look(LOOKS) for user in users))
    before = {place for place, user in enumerate(users) if user.statuses[401]}
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
