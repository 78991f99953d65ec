"""Ends logins in every way there is, and watches how long they outlive it."""

import asyncio
import secrets
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus

import aiohttp

from loadtest.cluster.faults import in_thread
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import BasePlan, Context, refusal, together
from loadtest.experiments.people import AUTH, Administrator, log_in, open_accounts
from loadtest.experiments.revocation.watch import Watch, asker
from loadtest.load.client import Account, Answer, Client, Strategy

LOGOUT, FORCED, PASSWORD, DISABLED = "logout", "forced logout", "password changed", "account disabled"
MEANS = (LOGOUT, FORCED, PASSWORD, DISABLED)
"""The order for each account: after the last one, nobody can log in to it."""
LONG_PAUSE = 0.05


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of rounds, in which logins of every strategy end by every means, and of *askers* at each replica.

    *patience_seconds*: for how long a login that goes on being accepted is watched. *lives*: of access tokens, in
    seconds, each on a cluster of its own, where logins are watched until they expire.
    """

    rounds: int = 2
    askers: int = 2
    before_seconds: float = 0.03
    patience_seconds: float = 0.4
    lives: tuple[int, ...] = (1,)
    life_patience_seconds: float = 25.0


@dataclass
class Person:
    """Somebody who logs in to *cluster* under *strategy*, and whose logins end."""

    cluster: Cluster
    strategy: Strategy
    account: Account
    administrator: Administrator
    connector: aiohttp.BaseConnector

    async def end(self, client: Client, means: str) -> bool:
        """End the login of *client* by *means*, and return whether that is offered, when the answer is there.

        Raises `WrongAnswer`, `Unavailable`.
        """
        statuses = {answer.status for answer in await self._answers(client, means)}
        if statuses == {HTTPStatus.NOT_FOUND}:
            return False
        if not statuses <= {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            what = f"{self.strategy.name}: {means}: status {min(statuses) or 'none'}, must be 200 or 204"
            raise refusal(what, *statuses)
        return True

    async def _answers(self, client: Client, means: str) -> list[Answer]:
        if means == LOGOUT:
            return [await client.logout()]
        if means == FORCED:
            return await self.administrator.log_out(self.strategy, self.account)
        if means == DISABLED:
            return [await self.administrator.disable(self.account)]
        return [await self._change_password()]

    async def _change_password(self) -> Answer:
        """Change the password from another device, which has to be logged in at the auth service."""
        async with Client(self.cluster.url, AUTH, self.connector) as other:
            await log_in(other, self.account)
            new = secrets.token_urlsafe(24)
            change = {"old_password": self.account.password, "new_password": new}
            answer = await other.call("POST", "/auth/password", change)
            self.account = replace(self.account, password=new)
            return answer


async def measure(context: Context, plan: Plan) -> None:
    """End a login of every strategy by every means; on clusters of their own, watch some to the end of their life."""
    strategies = context.logins()
    context.progress.start("ending logins", plan.rounds * len(strategies) * len(MEANS))
    await together(_means(context, plan, strategies), *(_life(context, plan, seconds) for seconds in plan.lives))


async def _means(context: Context, plan: Plan, strategies: list[Strategy]) -> None:
    """End logins by every means, every time at all replicas."""
    async with AsyncExitStack() as stack:
        people = await _people(context.cluster, strategies, plan.rounds, stack)
        for number, person in enumerate(people):
            for means in MEANS:
                rows = await _ended(person, means, plan, plan.askers, 0.0, plan.patience_seconds)
                for row in rows:
                    context.record(round=number // len(strategies), life="", **row)
                context.progress.advance()


async def _people(cluster: Cluster, strategies: list[Strategy], each: int, stack: AsyncExitStack) -> list[Person]:
    """Return *each* people for each strategy; the strategies take turns."""
    connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
    administrator = await stack.enter_async_context(Administrator(cluster, strategies, connector))
    accounts = await open_accounts(cluster, AUTH, each * len(strategies), connector)
    return [
        Person(cluster, strategy, account, administrator, connector)
        for strategy, account in zip(strategies * each, accounts, strict=True)
    ]


async def _ended(
    person: Person, means: str, plan: Plan, askers: int, pause: float, patience: float
) -> list[dict[str, object]]:
    """Log in, end that while every replica is asked, and return a row of each replica that had accepted the login."""
    async with Client(person.cluster.url, person.strategy, person.connector) as client, asker(person.connector) as http:
        await log_in(client, person.account)
        watch = Watch.of(person.cluster, client)
        async with watch.kept(http, askers, pause):
            await asyncio.sleep(plan.before_seconds)
            began = time.perf_counter()
            offered = await person.end(client, means)
            acknowledged = time.perf_counter()
            await watch.until_refused(acknowledged, patience)
            watched = time.perf_counter() - acknowledged
    known = watch.accepted_before(began)
    if not known:
        what = f"{person.strategy.name}: no replica accepted a login that had just been made"
        raise refusal(what, *watch.statuses_before(began))
    labels = {"strategy": person.strategy.name, "means": means, "offered": offered, "watched_seconds": watched}
    return [labels | dict(watch.row(replica, acknowledged)) for replica in known]


async def _life(context: Context, plan: Plan, seconds: int) -> None:
    """Force logouts on a cluster whose access tokens live for a few *seconds*, and watch tokens until they are over."""
    if context.spare_cluster is None:
        context.not_measured(f"tokens that live for {seconds} s", "no further cluster can be started here")
        return
    tokens = [one for one in context.logins() if one.kind == "token"]
    spare = context.spare_cluster({"ACCESS_TOKEN_SECONDS": str(seconds)})
    async with in_thread(spare) as cluster, AsyncExitStack() as stack:
        people = await _people(cluster, tokens, 1, stack)
        watched = (_ended(person, FORCED, plan, 1, LONG_PAUSE, plan.life_patience_seconds) for person in people)
        for rows in await asyncio.gather(*watched):
            for row in rows:
                context.record(round=0, life=str(seconds), **row)
