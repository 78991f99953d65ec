"""One user's client, for experiments that count users, not requests: a browser with cookies or an app with tokens."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import aiohttp
from yarl import URL

from loadtest.cluster.protocol import ClusterError, Unavailable

PATIENCE_SECONDS = 15.0
UNAVAILABLE = frozenset({0, 503})
"""Statuses of a request that was not served, 0 if no answer came."""
TIMEOUT = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)

Form = Mapping[str, str]


@dataclass(frozen=True)
class Strategy:
    """One row of `GET /strategies`."""

    name: str
    kind: Literal["control", "session", "token"]
    login: str | None
    capabilities: frozenset[str]
    description: str = ""
    choose_when: str = ""

    @property
    def is_control(self) -> bool:
        """Return whether there is nothing to log in to."""
        return self.kind == "control"


@dataclass(frozen=True)
class Account:
    """Who logs in. Never print one: `password` is left out of its repr so that no traceback does."""

    username: str
    password: str
    id: str = ""

    def __repr__(self) -> str:
        return f"Account({self.username!r})"

    def credentials(self) -> dict[str, str]:
        """Return the body of a registration or a login."""
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 means that no answer came at all."""

    status: int
    body: Any = None
    replica: str | None = None


class Client:
    """One device of one user, an async context manager. *connector* is shared with others, cookies are not.

    *base* is where it sends its requests; it may be changed to another listener of the same cluster.

    *patience*: the number of seconds after which it gives up a request.
    """

    def __init__(
        self, base: str, strategy: Strategy, connector: aiohttp.BaseConnector, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.strategy = strategy
        self.base = URL(base)
        self._headers: dict[str, str] = {}
        self.refresh_token = ""
        jar = aiohttp.CookieJar(unsafe=True)  # "unsafe": cookies of an IP address, which a local cluster has
        self._http = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=jar,
            timeout=aiohttp.ClientTimeout(total=patience),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Forget cookies and tokens."""
        await self._http.close()

    @property
    def access_token(self) -> str:
        """The access token that this device sends, or an empty string."""
        return self._headers.get("Authorization", "").removeprefix("Bearer ")

    def credential(self, path: str) -> dict[str, str]:
        """Return the headers that tell the server at *path* who this device is: its cookies, or its access token."""
        cookies = self._http.cookie_jar.filter_cookies(self.base.join(URL(path)))
        cookie = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in cookies.items())
        return self._headers | ({"Cookie": cookie} if cookie else {})

    async def call(
        self, method: str, path: str, json: object = None, *, form: Form | None = None, headers: Form | None = None
    ) -> Answer:
        """Send one request with what this device holds; never raises for what the cluster does.

        *headers* replace the device's own (cookies stay).
        """
        url = self.base.join(URL(path))
        sent = self._headers if headers is None else headers
        try:
            async with self._http.request(method, url, json=json, data=form, headers=sent) as response:
                body = await response.json() if "json" in response.content_type else await response.text()
                return Answer(response.status, body, response.headers.get("X-Replica"))
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return Answer(0)

    async def login(self, account: Account) -> Answer:
        """Log in as *account* in the way of the strategy's kind."""
        if self.strategy.login is None:
            raise ValueError(f"{self.strategy.name} has no login")
        answer = await self.call("POST", self.strategy.login, account.credentials())
        if answer.status == 200 and self.strategy.kind == "token":
            self._keep(answer.body)
        return answer

    async def refresh(self) -> Answer:
        """Trade the refresh token for new tokens (RFC 6749 §6)."""
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        answer = await self.call("POST", "/auth/token", form=form, headers={})
        if answer.status == 200:
            self._keep(answer.body)
        return answer

    def _keep(self, tokens: Mapping[str, str]) -> None:
        self._headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        self.refresh_token = tokens["refresh_token"]

    async def mypage(self) -> Answer:
        """Get my page."""
        return await self.call("GET", f"/{self.strategy.name}/mypage")

    async def visits(self) -> Answer:
        """Count one more visit."""
        return await self.call("POST", f"/{self.strategy.name}/visits")

    async def logout(self) -> Answer:
        """Log out, but keep the credential, so that it can be tried afterwards."""
        kept = [(cookie.key, cookie.value) for cookie in self._http.cookie_jar]
        answer = await self.call("POST", f"/{self.strategy.name}/logout")
        self._http.cookie_jar.update_cookies(kept, self.base)
        return answer


def control_of(strategies: Iterable[Strategy]) -> Strategy | None:
    """Return the strategy that all others are compared with, if there is one."""
    return next((strategy for strategy in strategies if strategy.is_control), None)


async def register(client: Client) -> Account:
    """Open an account with a random name and password, and return it. Raises `ClusterError`, also `Unavailable`."""
    account = Account(f"user-{secrets.token_hex(8)}", secrets.token_urlsafe(24))
    answer = await client.call("POST", "/auth/users", account.credentials())
    if answer.status != 201:
        error = Unavailable if answer.status in UNAVAILABLE else ClusterError
        raise error(f"POST /auth/users: status {answer.status or 'none'}, must be 201")
    return replace(account, id=answer.body["user"]["id"])


async def strategies_of(base: str) -> list[Strategy]:
    """Ask the cluster at *base* what it serves. Raises `ClusterError`."""
    url = URL(base).join(URL("/strategies"))
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as http, http.get(url, raise_for_status=True) as response:
            rows = await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClusterError(f"GET {url}: {error or 'no answer'}") from None
    return [
        Strategy(
            row["name"],
            row["kind"],
            row.get("login"),
            frozenset(row["capabilities"]),
            row["description"],
            row["choose_when"],
        )
        for row in rows
    ]
