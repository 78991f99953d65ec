"""Users who come back: how many go to another replica when the load balancer's list changes?"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp

from loadtest.cluster.protocol import FaultError
from loadtest.experiments.affinity.figures import NEAR
from loadtest.experiments.experiment import BasePlan, Context
from loadtest.load.client import TIMEOUT
from loadtest.load.own_nginx import OwnNginx, own_nginx, servers
from loadtest.results.model import Row
from loadtest.statistics.estimates import Rng

METHODS = {
    "round robin": "",
    "ip_hash": "ip_hash;",
    "hash": "hash $remote_addr;",
    "consistent hash": "hash $remote_addr consistent;",
    "sticky cookie": "sticky cookie replica path=/;",
    "sticky learn": "sticky learn create=$cookie_user lookup=$cookie_user zone=learned:256k;",
}
"""What nginx's upstream says. `sticky learn` keeps a table of users, here by the cookie that tells them apart."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """How many *users* come back under each method, how many *new* ones come when a replica is added, and how many
    *tries* there are to choose a replica.

    *patience*: after this many seconds, a new replica that has not got its share is not going to get it.
    """

    users: int = 60
    new: int = 30
    tries: int = 20
    patience: float = 0.4


@dataclass(eq=False)
class User:
    """A client with an address of its own, and what it has been told to send with a request."""

    address: str
    http: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    replica: str = ""

    async def look(self, url: str) -> str:
        """Get the page, and return which replica answered."""
        self.replica, told = await ask(self.http, url, self.cookies)
        self.cookies |= told
        return self.replica


async def ask(
    http: aiohttp.ClientSession, url: str, cookies: Mapping[str, str], **headers: str
) -> tuple[str, dict[str, str]]:
    """Return which replica answered, and the cookies that it or the load balancer set."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    try:
        async with http.get(url, headers={"Cookie": cookie, **headers}) as answer:
            await answer.read()
            return answer.headers["X-Replica"], {name: morsel.value for name, morsel in answer.cookies.items()}
    except (aiohttp.ClientError, TimeoutError, KeyError, OSError) as error:
        raise FaultError(f"no answer through the load balancer from a loopback address: {error!r}") from None


async def measure(context: Context, plan: Plan) -> None:
    """Add a replica to the list of the load balancer and remove it again, under each method.

    No replica is started or stopped: it is the list that decides who moves.
    """
    urls, control = context.cluster.replica_urls(), context.control()
    if control is None or len(urls) < 3:
        context.not_measured("everything", "it takes a page without login and three replicas that can be reached")
        return
    hosts = [url.removeprefix("http://") for url in urls.values()]
    context.progress.start("adding and removing a replica", len(METHODS))
    async with AsyncExitStack() as stack:
        nginx = await stack.enter_async_context(own_nginx(context.logs / "affinity", METHODS))
        people = [await _user(stack, context.rng, number) for number in range(plan.users + plan.new)]
        for method in METHODS:
            await balance(nginx, hosts[:-1])
            url = f"{nginx.url(method)}/{control.name}/mypage"
            ladder = _Ladder(url, people[: plan.users], people[plan.users :], list(urls)[-1])
            row = await ladder.climb(nginx, hosts, plan, context.rng)
            context.record(kind="step", strategy=control.name, method=method, replicas=len(hosts), **row)
            context.progress.advance()


async def balance(nginx: OwnNginx, hosts: Sequence[str]) -> None:
    """Let *nginx* ask *hosts*, by every method."""
    await nginx.balance({method: line + servers(hosts) for method, line in METHODS.items()})


async def _user(stack: AsyncExitStack, rng: Rng, number: int) -> User:
    """Return a user with a random address of the loopback network, 127.0.0.0/8."""
    address = ".".join(["127", *map(str, rng.integers(1, 255, 3))])
    connector = aiohttp.TCPConnector(local_addr=(address, 0), force_close=True)
    http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=TIMEOUT)
    return User(address, await stack.enter_async_context(http), {"user": f"u{number}"})


@dataclass
class _Ladder:
    """One method: users who were there before, users who come later, and the *added* replica."""

    url: str
    users: Sequence[User]
    newcomers: Sequence[User]
    added: str

    async def climb(self, nginx: OwnNginx, hosts: Sequence[str], plan: Plan, rng: Rng) -> Row:
        """Return what happened when the last of *hosts* was added and removed."""
        for user in (*self.users, *self.newcomers):
            user.cookies = {"user": user.cookies["user"]}
        await self._look(self.users)
        few = await self._look(self.users)
        began = time.monotonic()
        await balance(nginx, hosts)
        more = await self._look(self.users)
        share = await self._has_its_share(began, len(hosts), plan.patience)
        new = await self._look(self.newcomers)
        chosen = await self._choose(plan.tries, rng)
        before = [user.replica for user in self.users]
        await balance(nginx, hosts[:-1])
        after = await self._look(self.users)
        return {
            "users": len(self.users),
            "moved_in": _differ(few, more),
            "returning_at_new": more.count(self.added),
            "seconds_until_share": share,
            "newcomers": len(new),
            "newcomers_at_new": new.count(self.added),
            "busiest": max(Counter(few).values()),
            "moved_out": _differ(before, after),
            "had_to_move": before.count(self.added),
            "chosen": chosen,
            "tries": plan.tries,
        }

    async def _look(self, users: Sequence[User]) -> list[str]:
        return list(await asyncio.gather(*(user.look(self.url) for user in users)))

    async def _has_its_share(self, began: float, replicas: int, patience: float) -> float | None:
        """Return the seconds since *began* until the added replica had its share of those who were there before."""
        while True:
            enough = sum(user.replica == self.added for user in self.users) >= NEAR * len(self.users) / replicas
            if enough or time.monotonic() > began + patience:
                return time.monotonic() - began if enough else None
            await self._look(self.users)

    async def _choose(self, tries: int, rng: Rng) -> int:
        """Return how often a user reached the replica of another one by sending what that user sends.

        That is all that is not bound to the connection: cookies, and the address as a header.
        """
        reached = 0
        for _ in range(tries):
            mine, other = (self.users[place] for place in rng.choice(len(self.users), 2, replace=False))
            if mine.replica == other.replica:
                other = next((user for user in self.users if user.replica != mine.replica), other)
            target = await other.look(self.url)
            replica, _ = await ask(mine.http, self.url, other.cookies, **{"X-Forwarded-For": other.address})
            reached += replica == target
        return reached


def _differ(before: Sequence[str], after: Sequence[str]) -> int:
    return sum(one != other for one, other in zip(before, after, strict=True))
