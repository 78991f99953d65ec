"""Browsers with cookie jars, and the tokens of their last login."""

import secrets
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Browser:
    """One person with one browser: a cookie jar, and the tokens of the last login."""

    http: aiohttp.ClientSession
    username: str
    password: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def credentials(self) -> dict[str, str]:
        return {"username": self.username, "password": self.password}

    async def log_in(self, path: str) -> aiohttp.ClientResponse:
        """Log in where the strategy says; its answer is read."""
        answer = await self.http.post(path, json=self.credentials)
        body = await answer.json()
        self.tokens = {name: body[name] for name in ("access_token", "refresh_token") if name in body}
        return answer

    async def get(self, path: str) -> aiohttp.ClientResponse:
        return await self._send("GET", path)

    async def post(self, path: str) -> aiohttp.ClientResponse:
        return await self._send("POST", path)

    async def _send(self, method: str, path: str) -> aiohttp.ClientResponse:
        token = self.tokens.get("access_token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.request(method, path, headers=headers)
        await answer.read()
        return answer


class Browsers:
    """Opens browsers against one address; `register` gives each person a new account."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: list[aiohttp.ClientSession] = []

    def open(self, username: str, password: str, url: str | None = None) -> Browser:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of 127.0.0.1
        http = aiohttp.ClientSession(url or self._url, cookie_jar=jar)
        self._open.append(http)
        return Browser(http, username, password)

    async def register(self, url: str | None = None) -> Browser:
        browser = self.open(f"e2e-{secrets.token_hex(6)}", secrets.token_urlsafe(16), url)
        answer = await browser.http.post("/auth/users", json=browser.credentials)
        assert answer.status == 201, await answer.text()
        return browser

    async def close(self) -> None:
        for http in self._open:
            await http.close()
