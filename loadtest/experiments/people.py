"""Accounts, logins, and an administrator who ends them: what several experiments need."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import expect
from loadtest.load.client import Account, Answer, Client, Strategy, register

AT_ONCE = 8
"""More password checks at once only wait for each other."""
ATTEMPTS = 20
AUTH = Strategy("auth", "token", "/auth/login", frozenset({"any-replica"}))
"""The auth service itself, for what is done there whatever the strategy is."""


async def open_accounts(
    cluster: Cluster, strategy: Strategy, number: int, connector: aiohttp.BaseConnector
) -> list[Account]:
    """Open a *number* of accounts."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(client: Client) -> Account:
        async with limit:
            return await register(client)

    async with Client(cluster.url, strategy, connector) as client:
        return await asyncio.gather(*(one(client) for _ in range(number)))


async def log_in(client: Client, account: Account) -> None:
    """Log in, again while the answer is 503, as on a busy machine. Raises `WrongAnswer`, `Unavailable`."""
    for _ in range(ATTEMPTS):
        answer = await client.login(account)
        if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
            break
    expect(client.strategy, "login", answer)


async def log_all_in(logins: Iterable[tuple[Client, Account]]) -> None:
    """Log in everybody, a few at once. Raises what `log_in` raises."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(client: Client, account: Account) -> None:
        async with limit:
            await log_in(client, account)

    await asyncio.gather(*(one(*login) for login in logins))


@dataclass
class Administrator:
    """Ends other people's logins, and disables accounts. An async context manager.

    Where logins are known to one replica only, the administrator has to ask each of them.
    """

    cluster: Cluster
    strategies: Sequence[Strategy]
    connector: aiohttp.BaseConnector
    _clients: dict[str, list[Client]] = field(default_factory=dict)

    async def __aenter__(self) -> "Administrator":
        account = Account("admin", self.cluster.secret("admin-password"))
        for strategy in (AUTH, *(one for one in self.strategies if one.kind == "session")):
            self._clients[strategy.name] = [Client(base, strategy, self.connector) for base in self._bases(strategy)]
        try:
            await log_all_in((client, account) for clients in self._clients.values() for client in clients)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (client for clients in self._clients.values() for client in clients):
            await client.close()

    def _bases(self, strategy: Strategy) -> list[str]:
        everywhere = "any-replica" in strategy.capabilities
        return [self.cluster.url] if everywhere else list(self.cluster.replica_urls().values()) or [self.cluster.url]

    async def log_out(self, strategy: Strategy, account: Account) -> list[Answer]:
        """End all logins that *account* has under *strategy*, and return what was answered."""
        area = AUTH.name if strategy.kind == "token" else strategy.name
        clients, path = self._clients[area], f"/{area}/admin/users/{account.id}/logout"
        return await asyncio.gather(*(client.call("POST", path) for client in clients))

    async def disable(self, account: Account) -> Answer:
        """Disable *account*, which invalidates all of its logins."""
        (client,) = self._clients[AUTH.name]
        return await client.call("POST", f"/auth/admin/users/{account.id}/disable")
