"""Clients of one strategy on a real cluster. Their requests and answers are recorded (`tests.support.history`)."""

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from loadtest.cluster.local import LocalCluster
from services.app.sessions.near_cache import TRUST_SECONDS
from services.app.strategy import Capability, Info, Kind
from tests.support.clients.answer import Answer
from tests.support.clients.auth import TIMEOUT, auth_bases
from tests.support.history import UNKNOWN, Act, Operation, Terms

PATIENCE = 20  # attempts
TOLD_WITHIN = 1.0  # seconds until every replica knows of a revocation
BOUNDS = {"redis-cached": TRUST_SECONDS}
"""How long after an acknowledged logout a strategy may still accept the login somewhere, in seconds; others may not."""


def bound_of(info: Info) -> float:
    """Return how long a login may survive its acknowledged end if the strategy itself ended it."""
    return TOLD_WITHIN if info.kind is Kind.TOKEN else BOUNDS.get(info.name, 0.0)


@dataclass(frozen=True)
class Account:
    """Who logs in."""

    username: str
    password: str = field(repr=False)

    @property
    def credentials(self) -> dict[str, str]:
        return {"username": self.username, "password": self.password}


@dataclass
class Login:
    """A login as its client holds it: cookies, or an access token. It stays unchanged when the login ends.

    *home* is the replica that knows it, if there is only one.
    """

    id: str
    account: Account
    home: str | None
    user_id: str = ""
    cookies: dict[str, str] = field(default_factory=dict, repr=False)
    access_token: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        bearer = f"Bearer {self.access_token}" if self.access_token else ""
        return {name: value for name, value in (("Cookie", cookie), ("Authorization", bearer)) if value}


class Site:
    """A cluster as seen by the clients of the strategy *info*, which ask one of *bases* after the other.

    Where only one replica knows a login, its client stays there.
    """

    def __init__(self, http: aiohttp.ClientSession, info: Info, bases: Sequence[str], auth: Sequence[str]) -> None:
        self.info = info
        self.bases = bases
        self.history: list[Operation] = []
        self._auth = itertools.cycle(auth)
        self._next = itertools.cycle(bases)
        self._http = http
        self._ids = itertools.count(1)

    @property
    def terms(self) -> Terms:
        """What the strategy promises while nothing is broken."""
        return Terms(bound_of(self.info))

    def bases_of(self, login: Login) -> Sequence[str]:
        """Return where *login* is known."""
        return [login.home] if login.home else self.bases

    async def register(self) -> Account:
        """Open an account."""
        account = Account(f"client-{secrets.token_hex(6)}", secrets.token_urlsafe(16))
        async with self._http.post(f"{next(self._auth)}/auth/users", json=account.credentials) as answer:
            assert answer.status == 201, await answer.text()
        return account

    async def log_in(self, account: Account, base: str = "", *, instead_of: Login | None = None) -> Login:
        """Log in, which must succeed; again while a busy machine answers 503."""
        for _ in range(PATIENCE):
            login, operation = await self.try_to_log_in(account, base, instead_of=instead_of)
            if operation.status != 503:
                break
        assert operation.status == 200, operation
        return login

    async def log_in_alone(self, account: Account) -> Login:
        """Log in somebody who has no other login. After a 503, which may have made an unknown login, use another
        person.
        """
        while (tried := await self.try_to_log_in(account))[1].status == 503:
            account = await self.register()
        login, operation = tried
        assert operation.status == 200, operation
        return login

    async def try_to_log_in(
        self, account: Account, base: str = "", *, instead_of: Login | None = None
    ) -> tuple[Login, Operation]:
        """Log in. A browser that already has a login (*instead_of*) sends its cookies; a success ends that login."""
        at = base or (instead_of and instead_of.home) or next(self._next)
        home = None if Capability.ANY_REPLICA in self.info.capabilities or len(self.bases) == 1 else at
        login = Login(f"{self.info.name} {next(self._ids)}", account, home)
        if instead_of:
            login.cookies |= instead_of.cookies
        url = (next(self._auth) if self.info.kind is Kind.TOKEN else at) + str(self.info.login)
        operation = await self._do(Act.LOGIN, login, "POST", url, json=account.credentials)
        if instead_of:
            self.note_end(instead_of, operation)
        return login, operation

    async def page(self, login: Login, base: str = "") -> Operation:
        """Read my page."""
        return await self._do(Act.PAGE, login, "GET", self._url(login, base, "mypage"))

    async def visit(self, login: Login, base: str = "") -> Operation:
        """Count one more visit."""
        return await self._do(Act.VISIT, login, "POST", self._url(login, base, "visits"))

    async def log_out(self, login: Login, base: str = "") -> Operation:
        """Log out; *login* keeps its credential, so that a test can check whether it is dead."""
        return await self._do(Act.END, login, "POST", self._url(login, base, "logout"))

    async def devices(self, login: Login, base: str = "") -> list[dict[str, Any]]:
        """Return the user's logins as listed."""
        answer = await self._insist("GET", self._url(login, base, "sessions"), login)
        listed: list[dict[str, Any]] = answer.body["sessions"]
        return listed

    async def force_logout(self, admin: Login, ended: Sequence[Login], base: str = "") -> int:
        """Let *admin* end all logins of a user, which are *ended*; return the number in the answer."""
        url, began = self._url(admin, base, f"admin/users/{ended[0].user_id}/logout"), time.monotonic()
        answer = await self._insist("POST", url, admin)
        by = Operation(Act.END, "", "", began, time.monotonic(), answer.status)
        for login in ended:
            self.note_end(login, by)
        return int(answer.body["ended"])

    async def _insist(self, method: str, url: str, login: Login) -> Answer:
        """Return the answer, which must be 200; ask again while a busy machine answers 503."""
        for _ in range(PATIENCE):
            answer = await self._send(method, url, login)
            if answer.status != 503:
                break
        assert answer.status == 200, answer
        return answer

    def note_end(self, login: Login, by: Operation) -> None:
        """Record that *by* has ended *login*, or may have."""
        if by.succeeded or by.status in UNKNOWN:
            self.history.append(replace(by, act=Act.END, login=login.id, user=login.account.username))

    def _url(self, login: Login, base: str, call: str) -> str:
        return f"{base or login.home or next(self._next)}/{self.info.name}/{call}"

    async def _do(self, act: Act, login: Login, method: str, url: str, json: Any = None) -> Operation:
        began, answer = time.monotonic(), await self._send(method, url, login, json)
        if answer.status == 200:
            login.cookies |= answer.cookies
        if answer.status == 200 and act is Act.LOGIN:
            login.user_id, login.access_token = answer.body["user"]["id"], answer.body.get("access_token", "")
        operation = Operation(
            act,
            login.id,
            login.account.username,
            began,
            time.monotonic(),
            answer.status,
            shown=answer.body.get("user", {}).get("name", ""),
            count=answer.body.get("visits", 0),
            retry_after=int(answer.headers.get("Retry-After", 0)),
            replica=answer.headers.get("X-Replica", ""),
        )
        self.history.append(operation)
        return operation

    async def _send(self, method: str, url: str, login: Login, json: Any = None) -> Answer:
        try:
            async with self._http.request(method, url, headers=login.headers, json=json) as answer:
                body = await answer.json(content_type=None) if await answer.read() else {}
                cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
                return Answer(answer.status, body, answer.headers, cookies)
        except (aiohttp.ClientError, TimeoutError):
            return Answer()


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield an HTTP client that keeps no cookies and opens as many connections as there are requests at once."""
    connector, jar = aiohttp.TCPConnector(limit=0), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=TIMEOUT) as http:
        yield http


def administrator(cluster: LocalCluster) -> Account:
    return Account("admin", cluster.secret("admin-password"))


def app_bases(cluster: LocalCluster) -> list[str]:
    return [f"http://127.0.0.1:{port}" for port in cluster.topology.app_ports()]


def make_site(cluster: LocalCluster, http: aiohttp.ClientSession, info: Info, *, directly: bool) -> Site:
    """Return the site as seen at the replicas' own ports in turn (*directly*), or through the load balancer."""
    bases, auth = (app_bases(cluster), auth_bases(cluster)) if directly else ([cluster.url], [cluster.url])
    return Site(http, info, bases, auth)


@asynccontextmanager
async def site_of(cluster: LocalCluster, info: Info, *, directly: bool) -> AsyncIterator[Site]:
    """Yield a site with an HTTP client of its own."""
    async with http_session() as http:
        yield make_site(cluster, http, info, directly=directly)
