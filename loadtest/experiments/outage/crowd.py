"""Who calls while something is away: people who read their page, log in or refresh, and some who must not be let in."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import aiohttp

from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import WrongAnswer
from loadtest.experiments.outage.callers import LOGIN, PAGE, REFRESH, Caller
from loadtest.experiments.people import AUTH, log_in, open_accounts
from loadtest.load.client import Account, Answer, Client, Strategy

PATIENCE_SECONDS = 3.0
"""Callers give a call up after so long."""
ATTEMPTS = 30


@dataclass(frozen=True)
class Numbers:
    """The number of *users* of each strategy who read their page, and of *refreshers*; seconds between calls."""

    users: int = 3
    refreshers: int = 3
    pause: float = 0.1
    login_pause: float = 0.5


@dataclass
class Crowd:
    """Everybody who calls *cluster*. *doomed*: a replica that will be restarted, if there are several: nobody's login
    is known to it alone.
    """

    cluster: Cluster
    strategies: list[Strategy]
    numbers: Numbers
    doomed: str
    stack: AsyncExitStack
    connector: aiohttp.BaseConnector
    users: list[Client] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)

    @classmethod
    async def gathered(
        cls, cluster: Cluster, strategies: list[Strategy], numbers: Numbers, stack: AsyncExitStack
    ) -> "Crowd":
        """Return a crowd whose people are logged in. *stack* closes their clients."""
        connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
        *others, last = cluster.replicas()
        crowd = cls(cluster, strategies, numbers, last if others else "", stack, connector)
        reader, leaver, newcomer, victim = await open_accounts(cluster, AUTH, 4, connector)
        leaving = [one for one in strategies if "logout" in one.capabilities]
        await asyncio.gather(
            *(crowd._add_reader(strategy, reader) for strategy in strategies for _ in range(numbers.users)),
            *(crowd._add_leaver(strategy, leaver) for strategy in leaving),
            *(crowd._add_refresher(reader) for _ in range(numbers.refreshers)),
        )
        crowd._add_newcomers(newcomer)
        crowd._add_guesser(victim)
        return crowd

    async def _client(self, strategy: Strategy) -> Client:
        client = Client(self.cluster.url, strategy, self.connector, PATIENCE_SECONDS)
        return await self.stack.enter_async_context(client)

    async def _add_reader(self, strategy: Strategy, account: Account) -> None:
        client = await self._settled(strategy, account)
        self.users.append(client)
        self.callers.append(Caller((strategy.name,), PAGE, client.mypage, self.numbers.pause, account.username))

    async def _settled(self, strategy: Strategy, account: Account) -> Client:
        """Return a client that is logged in, and not at the doomed replica alone."""
        for _ in range(ATTEMPTS):
            client = await self._client(strategy)
            await log_in(client, account)
            if "any-replica" in strategy.capabilities or (await client.mypage()).replica != self.doomed:
                return client
        raise WrongAnswer(f"{strategy.name}: the load balancer sends everybody to {self.doomed}")

    async def _add_leaver(self, strategy: Strategy, account: Account) -> None:
        """Add somebody whose login has ended, everywhere, before anything breaks."""
        client = await self._client(strategy)
        await log_in(client, account)
        await client.logout()
        for _ in range(ATTEMPTS):
            if (await client.mypage()).status == HTTPStatus.UNAUTHORIZED:
                break
        self.callers.append(Caller((strategy.name,), PAGE, client.mypage, self.numbers.pause, forbidden=True))

    async def _add_refresher(self, account: Account) -> None:
        if names := self._names(AUTH.login):
            client = await self._client(AUTH)
            await log_in(client, account)
            self.callers.append(Caller(names, REFRESH, client.refresh, self.numbers.pause))

    def _add_newcomers(self, account: Account) -> None:
        for strategy in {one.login: one for one in self.strategies}.values():
            self.callers.append(self._logging_in(strategy, account, forbidden=False))

    def _add_guesser(self, account: Account) -> None:
        """Add somebody who has a wrong password. One is enough: guesses are limited."""
        guessed = replace(account, password=secrets.token_urlsafe(24))
        self.callers.append(self._logging_in(self.strategies[-1], guessed, forbidden=True))

    def _logging_in(self, strategy: Strategy, account: Account, *, forbidden: bool) -> Caller:
        async def log_in_anew() -> Answer:
            async with Client(self.cluster.url, strategy, self.connector, PATIENCE_SECONDS) as client:
                return await client.login(account)

        return Caller(self._names(strategy.login), LOGIN, log_in_anew, self.numbers.login_pause, forbidden=forbidden)

    def _names(self, login: str | None) -> tuple[str, ...]:
        """Return the strategies that log in at this path."""
        return tuple(one.name for one in self.strategies if one.login == login)
