"""Drills for sessions, at the replicas' own ports: whatever races with the end of a login, the login ends.

Each returns a Counter of what was seen. What must never be is in it as a line that begins with `FAULT`.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from typing import Any

import aiohttp
import redis.asyncio

from loadtest.cluster.local import LocalCluster
from services.app.sessions.key import owner_of
from services.app.strategy import Capability, Info, Kind
from tests.drills.races import Auth, Told, auth_bases, nobody
from tests.support.clients import TOLD_WITHIN, Account, Login, Site, administrator, http_session, make_site, site_of
from tests.support.history import Act, Operation, Terms, faults

Ask = Callable[[], Awaitable[Operation]]

GIVE_UP_SECONDS = 10.0
BREAK_MILLISECONDS = 150  # shorter than anybody waits for Redis


@asynccontextmanager
async def redis_of(cluster: LocalCluster) -> AsyncIterator[redis.asyncio.Redis]:
    """Yield a client of the cluster's Redis."""
    url, password = f"redis://127.0.0.1:{cluster.topology.redis_port}", cluster.secret("redis-password")
    async with redis.asyncio.Redis.from_url(url, password=password, protocol=2) as client:
        yield client


async def keys_of(store: redis.asyncio.Redis, user_id: str) -> int:
    """Return how many keys Redis has for a user's sessions."""
    return len(await store.keys(f"*{owner_of(user_id)}*"))


async def refused_everywhere(site: Site, login: Login, within: float = 0.0) -> None:
    """Ask every replica until it refuses *login*, for *within* seconds, and while it cannot know.

    One that accepts it even then is a fault, which the history tells.
    """
    await asyncio.gather(*(_refused(site, login, base, within) for base in site.bases_of(login)))


async def _refused(site: Site, login: Login, base: str, within: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    while True:
        asked_after = loop.time() - start
        answer = await site.page(login, base)
        if answer.status == 401 or (answer.status == 200 and asked_after > within):
            return
        assert asked_after < within + GIVE_UP_SECONDS, answer


async def until_done(ask: Ask, seen: Counter[str], *, not_here: bool = False) -> None:
    """Ask again while the answer is 503, as everybody does who wants to log out. *not_here*: it may also be a 404."""
    while (answer := await ask()).status == 503:
        seen["asked again"] += 1
    assert answer.succeeded or (not_here and answer.status == 404), answer


def reads(site: Site, logins: Iterable[Login]) -> list[Ask]:
    """Return what asks for my page, with each login at each of its replicas."""
    return [partial(site.page, login, base) for login in logins for base in site.bases_of(login)]


def writes(site: Site, logins: Iterable[Login]) -> list[Ask]:
    """Return what counts a visit, with each login at each of its replicas."""
    return [partial(site.visit, login, base) for login in logins for base in site.bases_of(login)]


class Busy:
    """Clients that ask again and again, each its own question, until told to stop. *pause*: seconds in between."""

    def __init__(self, asks: Iterable[Ask], pause: float = 0) -> None:
        self.answers: Counter[str] = Counter()
        self._over = asyncio.Event()
        self._pause = pause
        self._tasks = [asyncio.create_task(self._go_on(ask)) for ask in asks]

    async def _go_on(self, ask: Ask) -> None:
        while not self._over.is_set():
            answer = await ask()
            self.answers[f"{answer.act} {answer.status}"] += 1
            await asyncio.sleep(self._pause)

    async def stop(self) -> Counter[str]:
        """Wait for the last answers and return how often what was answered."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        return self.answers


def with_faults(seen: Counter[str], *sites: Site, terms: Terms | None = None) -> Counter[str]:
    """Return what was *seen*, and each fault in the sites' histories. *terms*: if others than the strategies' own."""
    for site in sites:
        seen.update(f"FAULT {fault}" for fault in faults(site.history, terms or site.terms))
    return seen


async def logout_races(
    cluster: LocalCluster, info: Info, races: int, told: Told = nobody, *, ways: int = 8
) -> Counter[str]:
    """S5: log out while *ways* clients write to the session without pause, at all replicas that know it.

    In every other race they write at one replica and only read at the others, where what was read may be remembered.
    Returns how often what was seen: `visit 200` and `visit 401` are writes before and after the logout, `ended` the
    races after which no replica accepts the cookie and Redis has no key of the user. In the end all cookies are tried
    once more.
    """
    seen: Counter[str] = Counter()
    shared = Capability.ANY_REPLICA in info.capabilities
    async with site_of(cluster, info, directly=True) as site, redis_of(cluster) as store:
        account, logins = await site.register(), []
        for race in range(races):
            login = await site.log_in_alone(account)
            account = login.account
            assert await keys_of(store, login.user_id) == shared, "control: this is how sessions are found in Redis"
            writing = Busy(_in_use(site, login, ways, everywhere=race % 2 == 0))
            await asyncio.sleep(random.random() * 0.012)  # where in the writes it hits is the race
            await until_done(partial(site.log_out, login), seen)
            seen.update(await writing.stop())
            await refused_everywhere(site, login, site.terms.bound)
            left = await keys_of(store, login.user_id)
            seen[f"FAULT keys left: {left}" if left else "ended"] += 1
            logins.append(login)
            told(race + 1)
        for login in logins:
            await refused_everywhere(site, login)
    return with_faults(seen, site)


def _in_use(site: Site, login: Login, ways: int, *, everywhere: bool) -> Sequence[Ask]:
    first, *others = site.bases_of(login)
    if everywhere or not others:
        return ways * [partial(site.visit, login)]
    return [*(ways // 2 * [partial(site.visit, login, first)]), *(partial(site.page, login, base) for base in others)]


async def visit_races(
    cluster: LocalCluster, info: Info, races: int, told: Told = nobody, *, ways: int = 12
) -> Counter[str]:
    """S16: let *ways* clients write to one session at once, at all replicas that know it; again and again.

    Returns how often what was answered. That no write is lost and none happens twice is up to the history: each race's
    counts, and the last count of all, must be those of a counter.
    """
    seen: Counter[str] = Counter()
    async with site_of(cluster, info, directly=True) as site:
        account = await site.register()
        for race in range(races):
            if race % 50 == 0:  # a session of its own now and then
                login = await site.log_in(account)
            answers = await asyncio.gather(*(site.visit(login) for _ in range(ways)))
            seen.update(f"visit {answer.status}" for answer in answers)
            told(race + 1)
        last = await site.visit(login)
        seen[f"afterwards {last.status}"] += 1
    return with_faults(seen, site)


async def relogin_races(cluster: LocalCluster, info: Info, races: int, told: Told = nobody) -> Counter[str]:
    """S2: log in again, in the same browser, while its old cookie is used at all replicas that know it.

    In every other race it is only read with: then a replica that remembers what it read hears of changes from others.

    Returns how often what was seen: `one login` are races after which the new cookie is the user's only login,
    `unclear` those where the login's answer was a 503.
    """
    seen: Counter[str] = Counter()
    async with site_of(cluster, info, directly=True) as site:
        login = await site.log_in(await site.register())
        for race in range(races):
            old, busy = login, Busy(reads(site, [login]) + (writes(site, [login]) if race % 2 else []))
            login, answer = await site.try_to_log_in(old.account, instead_of=old)
            seen.update(await busy.stop())
            if answer.status == 503:
                seen["unclear"] += 1
                login = await site.log_in_alone(await site.register())
                continue
            await refused_everywhere(site, old, site.terms.bound)
            pages = await asyncio.gather(*(ask() for ask in reads(site, [login])))
            seen.update(f"new {page.status}" for page in pages)
            listed = len(await site.devices(login))
            seen["one login" if listed == 1 else f"FAULT logins: {listed}"] += 1
            told(race + 1)
    return with_faults(seen, site)


async def forced_logout_races(
    cluster: LocalCluster, info: Info, races: int, told: Told = nobody, *, devices: int = 2
) -> Counter[str]:
    """S13: an administrator ends a user's logins while the user's devices read, or read and write, at all replicas.

    Returns how often what was seen: `ended` are logins of which the administrator was told that they are.
    """
    seen: Counter[str] = Counter()
    async with site_of(cluster, info, directly=True) as site:
        account = await site.register()
        admins = {base: await site.log_in(administrator(cluster), base) for base in site.bases}
        for race, base in zip(range(races), cycle(site.bases), strict=False):
            logins = [await site.log_in(account, base) for _ in range(devices)]
            busy = Busy(reads(site, logins) + (writes(site, logins) if race % 2 else []))
            await asyncio.sleep(random.random() * 0.02)  # where in their requests it hits is the race
            seen["ended"] += await site.force_logout(admins[base], logins, base)
            await asyncio.gather(*(refused_everywhere(site, login, site.terms.bound) for login in logins))
            seen.update(await busy.stop())
            told(race + 1)
    return with_faults(seen, site)


async def limit_races(
    cluster: LocalCluster, info: Info, races: int, told: Told = nobody, *, ways: int = 8
) -> Counter[str]:
    """Log *ways* devices of one user in at once, at all replicas (or at the only one that would know them).

    Passwords are checked one after the other. So that the logins arrive together, Redis takes a short break meanwhile.
    Returns how often what was seen, such as `logins 200: 3, 409: 5; alive: 3, listed: 3`; `unclear`: one was a 503.
    """
    seen: Counter[str] = Counter()
    async with site_of(cluster, info, directly=True) as site, redis_of(cluster) as store:
        for race in range(races):
            account, only = await site.register(), "" if Capability.ANY_REPLICA in info.capabilities else site.bases[0]
            trying = asyncio.gather(*(site.try_to_log_in(account, only) for _ in range(ways)))
            await asyncio.sleep(random.random() * 0.1)
            await store.client_pause(BREAK_MILLISECONDS)
            tried = await trying
            statuses = Counter(operation.status for _, operation in tried)
            if 503 in statuses:
                seen["unclear"] += 1
                continue
            pages = [(login, await site.page(login)) for login, operation in tried if operation.status == 200]
            alive = [login for login, page in pages if page.status == 200]
            listed = len(await site.devices(alive[0])) if alive else 0
            logins = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
            seen[f"logins {logins}; alive: {len(alive)}, listed: {listed}"] += 1
            told(race + 1)
    return seen


class Accounts:
    """What the auth service does to accounts. Whatever ends logins is returned as an operation that did."""

    def __init__(self, http: aiohttp.ClientSession, cluster: LocalCluster) -> None:
        self._auth = Auth(http, auth_bases(cluster))
        self._admin = administrator(cluster)

    async def administrator(self) -> dict[str, str]:
        """Return the headers of a new login of the administrator."""
        return {"Authorization": f"Bearer {(await self._auth.login(self._admin.credentials))['access_token']}"}

    async def disable(self, user_id: str, admin: dict[str, str]) -> Operation:
        return await self._post(f"/auth/admin/users/{user_id}/disable", admin)

    async def enable(self, user_id: str, admin: dict[str, str]) -> Operation:
        return await self._post(f"/auth/admin/users/{user_id}/enable", admin)

    async def change_password(self, account: Account, new: str, login: Login) -> Operation:
        """Change the password with the access token of *login*, which lives on."""
        change = {"old_password": account.password, "new_password": new}
        return await self._post("/auth/password", login.headers, json=change)

    async def _post(self, path: str, headers: dict[str, str], **what: Any) -> Operation:
        began = time.monotonic()
        answer = await self._auth.post(path, headers=headers, **what)
        assert answer.status in (200, 204), answer
        return Operation(Act.END, "", "", began, time.monotonic(), answer.status)


class Endings:
    """A user reads with logins under all strategies *infos*, and is about to log in once more, when all of them end.

    Where a login holds at one replica only, there is one at each.
    """

    def __init__(self, http: aiohttp.ClientSession, cluster: LocalCluster, infos: Iterable[Info]) -> None:
        self.sites = [make_site(cluster, http, info, directly=True) for info in infos]
        self.accounts = Accounts(http, cluster)
        self.seen: Counter[str] = Counter()

    async def log_in(self, account: Account) -> list[tuple[Site, Login]]:
        """Log in everywhere, which must succeed."""
        tried = await self._try_to_log_in(account)
        assert {operation.status for *_, operation in tried} == {200}, tried
        return [(site, login) for site, login, _ in tried]

    async def race(self, account: Account, end: Ask, *, after: float) -> None:
        """Let *end* end everything while the user reads and logs in, after so many seconds or a bit later."""
        logins = await self.log_in(account)
        busy = self.read(logins)
        coming = asyncio.create_task(self._try_to_log_in(account, spread=0.3))
        await asyncio.sleep(after + random.random() * 0.3)  # where in the logins it hits is the race
        by = await end()
        for site, login, operation in await coming:
            self.seen[f"login {operation.status}"] += 1
            if operation.status == 200:
                logins.append((site, login))
        for site, login in logins:
            site.note_end(login, by)
        await asyncio.gather(*(refused_everywhere(site, login, TOLD_WITHIN) for site, login in logins))
        self.seen["ended"] += len(logins)
        await busy.stop()

    def read(self, logins: Iterable[tuple[Site, Login]]) -> Busy:
        """Begin to read with *logins*."""
        return Busy([ask for site, login in logins for ask in reads(site, [login])], pause=0.02)

    @asynccontextmanager
    async def somebody_else(self) -> AsyncIterator[None]:
        """Let another user read meanwhile, whom nothing of this concerns."""
        busy = self.read(await self.log_in(await self.sites[0].register()))
        yield
        self.seen.update({f"somebody else's {answer}": times for answer, times in (await busy.stop()).items()})

    def everything_seen(self) -> Counter[str]:
        return with_faults(self.seen, *self.sites, terms=Terms(TOLD_WITHIN))

    async def _try_to_log_in(self, account: Account, spread: float = 0) -> list[tuple[Site, Login, Operation]]:
        """Log in everywhere, at moments that are spread over so many seconds."""

        async def log_in(site: Site, home: str) -> tuple[Site, Login, Operation]:
            await asyncio.sleep(random.random() * spread)
            return (site, *await site.try_to_log_in(account, home))

        return await asyncio.gather(*(log_in(site, home) for site in self.sites for home in homes(site)))


def homes(site: Site) -> Sequence[str]:
    """Return where one has to log in to be known at every replica; an empty text: anywhere."""
    return [""] if Capability.ANY_REPLICA in site.info.capabilities else site.bases


async def disabling_races(
    cluster: LocalCluster, infos: Sequence[Info], races: int, told: Told = nobody
) -> Counter[str]:
    """S11: disable an account whose user reads everywhere and is about to log in once more; then enable it again.

    Returns how often what was seen: `login 200` and `login 401` are those that were on their way, before and after,
    `ended` all of the user's logins: each of them is refused everywhere within `TOLD_WITHIN`.
    """
    async with http_session() as http:
        drill = Endings(http, cluster, infos)
        async with drill.somebody_else():
            for race in range(races):
                account = await drill.sites[0].register()
                user_id = (await drill.sites[0].log_in(account)).user_id
                admin = await drill.accounts.administrator()
                await drill.race(account, partial(drill.accounts.disable, user_id, admin), after=0.1)
                await drill.accounts.enable(user_id, admin)
                told(race + 1)
            again = await drill.log_in(account)
            drill.seen.update([f"again {(await site.page(login)).status}" for site, login in again])
        return drill.everything_seen()


async def password_races(cluster: LocalCluster, infos: Sequence[Info], races: int, told: Told = nobody) -> Counter[str]:
    """S12: change the password of a user who reads everywhere and is about to log in once more with the old one.

    Returns what `disabling_races` does, and what the login gets that changed the password: it goes on.
    """
    async with http_session() as http:
        drill = Endings(http, cluster, infos)
        tokens = next(site for site in drill.sites if site.info.kind is Kind.TOKEN)
        account = await tokens.register()
        async with drill.somebody_else():
            for race in range(races):
                own, new = await tokens.log_in(account), secrets.token_urlsafe(16)
                await drill.race(account, partial(drill.accounts.change_password, account, new, own), after=0)
                drill.seen.update([f"kept {(await tokens.page(own, base)).status}" for base in tokens.bases])
                account = Account(account.username, new)
                told(race + 1)
        return drill.everything_seen()
