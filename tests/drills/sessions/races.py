"""Drills for sessions, at the replicas' own ports: whatever races with the end of a login, the login ends.

Each returns a Counter of what was seen. What must never happen is in it as a line that starts with `FAULT`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import cycle

import redis.asyncio

from loadtest.cluster.local import LocalCluster
from services.app.sessions.key import owner_of
from services.app.strategy import Capability, Info
from tests.drills.progress import Told, nobody
from tests.drills.sessions.traffic import Ask, Busy, reads, refused_everywhere, until_done, with_faults, writes
from tests.support.clients.strategy import (
    Login,
    Site,
    administrator,
    site_of,
)
from tests.support.cluster import redis_of

BREAK_MILLISECONDS = 150  # shorter than anybody waits for Redis


async def keys_of(store: redis.asyncio.Redis, user_id: str) -> int:
    """Return how many keys Redis has for a user's sessions."""
    return len(await store.keys(f"*{owner_of(user_id)}*"))


async def logout_races(
    cluster: LocalCluster, info: Info, races: int, told: Told = nobody, *, ways: int = 8
) -> Counter[str]:
    """S5: log out while *ways* clients write to the session without pause, at all replicas that know it.

    In every other race they write at one replica and only read at the others, which may remember what they read.
    Returns counts: `visit 200` and `visit 401` are writes before and after the logout; `ended` are races after which no
    replica accepts the cookie and Redis has no key of the user. At the end all cookies are tried once more.
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
            await asyncio.sleep(random.random() * 0.012)  # the moment varies: that is the race
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
    """S16: let *ways* clients write to one session concurrently, at all replicas that know it, repeatedly.

    Returns counts of the answers. The history checks that no write is lost or applied twice: the counts of each race,
    and the last count of all, must be those of a counter.
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
    """S2: log in again in the same browser, while its old cookie is used at all replicas that know it.

    In every other race the cookie is only used to read, so that replicas that remember sessions hear of changes from
    others.

    Returns counts: `one login` are races after which the new cookie is the user's only login, `unclear` those where the
    login was answered with 503.
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

    Returns counts: `ended` are the logins that the administrator was told have ended.
    """
    seen: Counter[str] = Counter()
    async with site_of(cluster, info, directly=True) as site:
        account = await site.register()
        admins = {base: await site.log_in(administrator(cluster), base) for base in site.bases}
        for race, base in zip(range(races), cycle(site.bases), strict=False):
            logins = [await site.log_in(account, base) for _ in range(devices)]
            busy = Busy(reads(site, logins) + (writes(site, logins) if race % 2 else []))
            await asyncio.sleep(random.random() * 0.02)  # the moment varies: that is the race
            seen["ended"] += await site.force_logout(admins[base], logins, base)
            await asyncio.gather(*(refused_everywhere(site, login, site.terms.bound) for login in logins))
            seen.update(await busy.stop())
            told(race + 1)
    return with_faults(seen, site)


async def limit_races(
    cluster: LocalCluster, info: Info, races: int, told: Told = nobody, *, ways: int = 8
) -> Counter[str]:
    """Log in *ways* devices of one user concurrently, at all replicas (or at the only one that would know them).

    Passwords are checked one after the other. Redis is paused briefly, so that the logins arrive together. Returns
    counts such as `logins 200: 3, 409: 5; alive: 3, listed: 3`; `unclear` means that one was a 503.
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
