"""One real cluster for all end-to-end tests: nginx, Redis, two auth processes and the replicas, on ports of its own."""

import json
import secrets
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

import aiohttp
import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.topology import Topology


@dataclass
class RunningCluster:
    """A cluster that somebody else started on the ports of .env, such as `docker compose up`."""

    url: str
    url_no_affinity: str

    def replicas(self) -> list[str]:
        """Round robin shows every replica within a few requests."""
        pages = (urllib.request.urlopen(f"{self.url}/anonymous/mypage") for _ in range(40))
        return sorted({json.loads(page.read())["replica"] for page in pages})


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster | RunningCluster]:
    topology = Topology.from_environment()
    if request.config.getoption("--running"):
        yield RunningCluster(f"http://127.0.0.1:{topology.lb_port}", f"http://127.0.0.1:{topology.lb_port_no_affinity}")
        return
    with LocalCluster(replace(topology, auth_replicas=2).on_free_ports(), STATE / "test") as started:
        yield started


# The proportions of the defaults, but quick: a key signs 4 s after its publication. Nothing limits who fuzzes logins.
HURRIED = {
    "KEY_PUBLISH_SECONDS": "4",
    "KEY_POLL_SECONDS": "0.5",
    "JWKS_MAX_AGE_SECONDS": "0",
    "JWKS_REFRESH_SECONDS": "1",
    "FAILURES_PER_PAIR": "1000000",
    "FAILURES_PER_ADDRESS": "1000000",
    "FAILURES_PER_ACCOUNT": "1000000",
}


@pytest.fixture(scope="session")
def spare_cluster() -> Iterator[LocalCluster]:
    """One that a test may fuzz, and whose keys it may rotate."""
    topology = replace(Topology.from_environment(), auth_replicas=2)
    topology = replace(topology, settings=(*topology.settings, *HURRIED.items()))
    with LocalCluster(topology.on_free_ports(), STATE / "test-spare") as started:
        yield started


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
    """Opens browsers against one address; `register` makes each person an account of its own."""

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


@pytest.fixture
async def browsers(cluster: LocalCluster) -> AsyncIterator[Browsers]:
    opened = Browsers(cluster.url)
    yield opened
    await opened.close()


@pytest.fixture
async def strategies(cluster: LocalCluster) -> list[dict[str, object]]:
    async with aiohttp.ClientSession(cluster.url) as http, http.get("/strategies") as answer:
        listed: list[dict[str, object]] = await answer.json()
        return listed
