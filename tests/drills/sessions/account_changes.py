"""Drills in which an account changes while it is logged in under all strategies: only what must end ends.

Each returns a Counter of what was seen. What must never happen is in it as a line that starts with `FAULT`.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability, Info, Kind
from tests.drills.progress import Told, nobody
from tests.drills.sessions.traffic import Ask, Busy, reads, refused_everywhere, with_faults
from tests.support.clients.auth import Auth, auth_bases
from tests.support.clients.strategy import TOLD_WITHIN, Account, Login, Site, administrator, http_session, make_site
from tests.support.history import Act, Operation, Terms


class Accounts:
    """What administrators do to accounts. Calls that end logins return the operation that did."""

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
        """Change the password with the access token of *login*, which survives."""
        change = {"old_password": account.password, "new_password": new}
        return await self._post("/auth/password", login.headers, json=change)

    async def _post(self, path: str, headers: dict[str, str], **what: Any) -> Operation:
        began = time.monotonic()
        answer = await self._auth.post(path, headers=headers, **what)
        assert answer.status in (200, 204), answer
        return Operation(Act.END, "", "", began, time.monotonic(), answer.status)


class Endings:
    """A user reads with logins under all strategies *infos*, and is logging in once more, when all of them end.

    Where a login is known to one replica only, there is one at each.
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
        """Call *end* while the user reads and logs in, after the given seconds or slightly later."""
        logins = await self.log_in(account)
        busy = self.read(logins)
        coming = asyncio.create_task(self._try_to_log_in(account, spread=0.3))
        await asyncio.sleep(after + random.random() * 0.3)  # the moment varies: that is the race
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
        """Let an unaffected user read in the meantime."""
        busy = self.read(await self.log_in(await self.sites[0].register()))
        yield
        self.seen.update({f"somebody else's {answer}": times for answer, times in (await busy.stop()).items()})

    def everything_seen(self) -> Counter[str]:
        return with_faults(self.seen, *self.sites, terms=Terms(TOLD_WITHIN))

    async def _try_to_log_in(self, account: Account, spread: float = 0) -> list[tuple[Site, Login, Operation]]:
        """Log in everywhere, at moments spread over the given seconds."""

        async def log_in(site: Site, home: str) -> tuple[Site, Login, Operation]:
            await asyncio.sleep(random.random() * spread)
            return (site, *await site.try_to_log_in(account, home))

        return await asyncio.gather(*(log_in(site, home) for site in self.sites for home in homes(site)))


def homes(site: Site) -> Sequence[str]:
    """Return where to log in to be known to every replica; an empty text means anywhere."""
    return [""] if Capability.ANY_REPLICA in site.info.capabilities else site.bases


async def disabling_races(
    cluster: LocalCluster, infos: Sequence[Info], races: int, told: Told = nobody
) -> Counter[str]:
    """S11: disable an account whose user reads everywhere and is logging in once more; then enable it again.

    Returns counts: `login 200` and `login 401` are logins in flight, before and after; `ended` are all logins of the
    user, each refused everywhere within `TOLD_WITHIN`.
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
    """S12: change the password of a user who reads everywhere and is logging in once more with the old one.

    Returns the same as `disabling_races`, and what the login gets that changed the password: it survives.
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
