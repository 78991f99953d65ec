"""Everybody on the screen: the same people in every row, and the thieves beside them."""

import asyncio
from collections.abc import Iterable, Sequence

import aiohttp
from yarl import URL

from loadtest.cluster.protocol import ClusterError
from loadtest.console.history import Entry, History
from loadtest.console.visitor import Thief, Visitor
from loadtest.load.client import Account, Client, Strategy, register

LOGINS_AT_ONCE = 8
THIEVES = 3
"""Seats for thieves in each row. The fourth one takes the place of the first."""
REFRESH_SHARE = 0.5
"""The part of an access token's life after which an app refreshes it."""
RETRY_SECONDS = 0.5
STRIDE = 7
"""The distance between the seats of two people who are chosen in turn, so that viewers notice the change."""


class Crowd:
    """*size* people under each of *strategies*. *urls*: the listener with affinity, and the one without.

    *token_seconds*: how long an access token lives.
    """

    def __init__(
        self,
        urls: tuple[str, str],
        strategies: Sequence[Strategy],
        size: int,
        token_seconds: float,
        history: History,
        connector: aiohttp.BaseConnector,
    ) -> None:
        self.size = size
        self.history = history
        self.strategies = strategies
        self.refresh_after = REFRESH_SHARE * token_seconds
        self._urls = urls
        self._affinity = True
        self._connector = connector
        self._limit = asyncio.Semaphore(LOGINS_AT_ONCE)
        self.rows: dict[str, list[Visitor]] = {strategy.name: [] for strategy in strategies}
        self.thieves: dict[str, list[Thief]] = {strategy.name: [] for strategy in strategies}
        self._thieves_so_far = 0
        self._turns = 0

    @property
    def seats(self) -> int:
        """How many seats a row has, thieves' included."""
        return self.size + THIEVES

    @property
    def affinity(self) -> bool:
        """Whether users ask the listener with affinity."""
        return self._affinity

    @affinity.setter
    def affinity(self, kept: bool) -> None:
        self._affinity = kept
        for client in self._clients():
            client.base = URL(self._urls[not kept])

    def all_visitors(self) -> Iterable[Visitor]:
        """Return the users of all rows, without thieves."""
        return [visitor for row in self.rows.values() for visitor in row]

    def person(self, seat: int) -> list[Visitor]:
        """Return the one in *seat*, in every row where they are."""
        return [row[seat] for row in self.rows.values() if seat < len(row)]

    def next_seat(self) -> int:
        """Return the seat of the next person if none was chosen: everybody who is logged in has a turn."""
        there = [seat for seat in range(self.size) if all(one.present for one in self.person(seat))]
        there = [seat for seat in there if self.person(seat)] or [0]
        self._turns += 1
        return there[STRIDE * self._turns % len(there)]

    async def enter(self) -> None:
        """Let people open their accounts and log in, in the order of their seats."""
        async with asyncio.TaskGroup() as group:
            for seat in range(min(map(len, self.rows.values())), self.size):
                async with self._limit:
                    account = await self._registered()
                for strategy in self.strategies:
                    visitor = Visitor(strategy, seat, account, self._client(strategy), self.history)
                    self.rows[strategy.name].append(visitor)
                    group.create_task(self._log_in_at_last(visitor))

    async def log_in_again(self, visitors: Iterable[Visitor]) -> None:
        """Let *visitors* log in, a few at a time."""
        await asyncio.gather(*(self._log_in(visitor) for visitor in visitors))

    async def steal(self, seat: int, entry: Entry) -> None:
        """Let a thief use the credentials of the person in *seat*, as they are now, in every row."""
        thiefs_seat = self.size + self._thieves_so_far % THIEVES
        self._thieves_so_far += 1
        await self.send_thieves_away(thiefs_seat)
        for victim in self.person(seat):
            if not victim.strategy.is_control and victim.present:
                thief = Thief(victim, thiefs_seat, self._client(victim.strategy), self.history)
                self.thieves[victim.strategy.name].append(thief)
                self.history.stolen(entry, victim.strategy.name, thiefs_seat)

    async def send_thieves_away(self, seat: int | None = None) -> None:
        """Remove the thieves in *seat*, or all."""
        for name, row in self.thieves.items():
            leaving = [thief for thief in row if seat in (None, thief.seat)]
            self.thieves[name] = [thief for thief in row if thief not in leaving]
            for thief in leaving:
                self.history.remove(name, thief.seat)
                await thief.client.close()

    async def close(self) -> None:
        """Close everybody's client."""
        await asyncio.gather(*(client.close() for client in self._clients()))

    def _clients(self) -> list[Client]:
        thieves = [thief.client for row in self.thieves.values() for thief in row]
        return [*(visitor.client for visitor in self.all_visitors()), *thieves]

    def _client(self, strategy: Strategy) -> Client:
        return Client(self._urls[not self._affinity], strategy, self._connector)

    async def _log_in(self, visitor: Visitor) -> bool:
        async with self._limit:
            return await visitor.log_in(self.refresh_after)

    async def _log_in_at_last(self, visitor: Visitor) -> None:
        while not await self._log_in(visitor):  # noqa: ASYNC110  # the cluster may be down: there is no event
            await asyncio.sleep(RETRY_SECONDS)

    async def _registered(self) -> Account:
        """Return a new account, once the cluster gives one."""
        async with self._client(self.strategies[0]) as client:
            while True:
                try:
                    return await register(client)
                except ClusterError:
                    await asyncio.sleep(RETRY_SECONDS)
