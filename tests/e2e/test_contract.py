"""The HTTP contract through the load balancer, on a real cluster."""

import asyncio
import re
import time
from urllib.parse import urlsplit

import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Capability, Info, Kind
from tests.support.clients.browsers import Browser, Browsers
from tests.support.strategies import INFOS, each

pytestmark = pytest.mark.e2e
OURS = ["anonymous", "memory", "redis", "redis-cached", "cookie", "jwt", "jwt-cached", "jwt-denylist"]
WITHIN_SECONDS = 1.0  # what replicas remember or are told is never older


async def logged_in(browsers: Browsers, info: Info) -> Browser:
    """Return a browser with a new user's login, or without one if the strategy has no login."""
    browser = await browsers.register()
    if info.login:
        answer = await browser.log_in(info.login)
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"  # S10
    return browser


async def test_strategies_are_listed(strategies: list[dict[str, object]]) -> None:
    names = [strategy["name"] for strategy in strategies]
    assert [name for name in names if name in OURS] == OURS  # yours may stand beside them
    assert strategies == [info.entry() for info in INFOS]


@each(Kind.SESSION, Kind.TOKEN)
async def test_my_page_shows_only_its_own_user(browsers: Browsers, info: Info) -> None:
    stranger = await browsers.register()
    assert (await stranger.get(f"/{info.name}/mypage")).status == 401
    browser = await logged_in(browsers, info)
    for _ in range(6):
        answer = await browser.get(f"/{info.name}/mypage")
        page = await answer.json()
        assert (answer.status, page["strategy"], page["user"]["name"]) == (200, info.name, browser.username)
        assert page["replica"] == answer.headers["X-Replica"]


@each(having=Capability.ANY_REPLICA)
async def test_without_affinity_every_replica_answers_alike(  # S18
    cluster: LocalCluster, browsers: Browsers, info: Info
) -> None:
    browser = await logged_in(browsers, info)
    answers = [await browser.get(f"/{info.name}/mypage") for _ in range(12)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["X-Replica"] for answer in answers} == set(cluster.replicas())


@each(having=Capability.AFFINITY)
async def test_with_affinity_a_user_stays_at_one_replica_from_the_first_request(
    cluster: LocalCluster, browsers: Browsers, info: Info
) -> None:
    people = [await logged_in(browsers, info) for _ in range(6)]
    homes = []
    for person in people:
        answers = [await person.get(f"/{info.name}/mypage") for _ in range(6)]
        assert {answer.status for answer in answers} == {200}
        homes.append({answer.headers["X-Replica"] for answer in answers})
    assert all(len(home) == 1 for home in homes)
    assert set.union(*homes) == set(cluster.replicas())


@each(lacking=Capability.ANY_REPLICA)
async def test_without_affinity_a_strategy_that_needs_it_forgets_its_users(
    cluster: LocalCluster, browsers: Browsers, info: Info
) -> None:
    browser = await browsers.register(cluster.url_no_affinity)
    await browser.log_in(str(info.login))
    statuses = {(await browser.get(f"/{info.name}/mypage")).status for _ in range(9)}
    assert statuses == {200, 401}


@each(having=Capability.VISITS)
async def test_visits_are_counted_in_the_session(browsers: Browsers, info: Info) -> None:
    browser = await logged_in(browsers, info)
    counts = [(await (await browser.post(f"/{info.name}/visits")).json())["visits"] for _ in range(4)]
    assert counts == [1, 2, 3, 4]


@each(having=Capability.LOGOUT)
async def test_s4_logout_is_final(cluster: LocalCluster, browsers: Browsers, info: Info) -> None:
    browser = await logged_in(browsers, info)
    thief = browsers.open(browser.username, "unknown")
    thief.http.cookie_jar.update_cookies({cookie.key: cookie.value for cookie in browser.http.cookie_jar})
    thief.tokens = browser.tokens
    assert (await thief.get(f"/{info.name}/mypage")).status == 200
    assert (await browser.post(f"/{info.name}/logout")).status == 204
    until = time.monotonic() + WITHIN_SECONDS
    refused = 0
    while refused < 2 * len(cluster.replicas()):  # in a row: round robin reaches all of them
        asked_at = time.monotonic()
        status = (await thief.get(f"/{info.name}/mypage")).status
        assert status == 401 or (status == 200 and asked_at <= until)
        refused = refused + 1 if status == 401 else 0


@each(Kind.SESSION, having=Capability.DEVICES)
async def test_s13_own_devices_are_listed_and_ended(browsers: Browsers, info: Info) -> None:
    browser = await logged_in(browsers, info)
    other = browsers.open(browser.username, browser.password)
    other.http.cookie_jar.update_cookies(affinity_of(browser))
    assert (await other.log_in(str(info.login))).status == 200
    listed = (await (await browser.get(f"/{info.name}/sessions")).json())["sessions"]
    assert sorted(session["current"] for session in listed) == [False, True]
    (lost,) = (session["id"] for session in listed if not session["current"])
    async with browser.http.delete(f"/{info.name}/sessions/{lost}") as answer:
        assert answer.status == 204
    async with asyncio.timeout(WITHIN_SECONDS):
        while (await other.get(f"/{info.name}/mypage")).status != 401:
            pass
    assert (await browser.get(f"/{info.name}/mypage")).status == 200


def affinity_of(browser: Browser) -> dict[str, str]:
    """Return the cookie by which the load balancer keeps this browser at one replica."""
    return {cookie.key: cookie.value for cookie in browser.http.cookie_jar if "affinity" in cookie.key}


@each(Kind.TOKEN)
async def test_t2_refresh_rotates_and_the_new_access_token_works(browsers: Browsers, info: Info) -> None:
    browser = await logged_in(browsers, info)
    form = {"grant_type": "refresh_token", "refresh_token": browser.tokens["refresh_token"]}
    answer = await browser.http.post("/auth/token", data=form)
    renewed = await answer.json()
    assert answer.status == 200
    assert renewed["refresh_token"] != browser.tokens["refresh_token"]
    browser.tokens = renewed
    assert (await browser.get(f"/{info.name}/mypage")).status == 200
    revoked = await browser.http.post("/auth/revoke", data={"token": renewed["refresh_token"]})
    assert revoked.status == 200
    form["refresh_token"] = renewed["refresh_token"]
    dead = await browser.http.post("/auth/token", data=form)
    assert (dead.status, (await dead.json())["error"]) == (400, "invalid_grant")


HIDDEN = ["/metrics", "//metrics", "/x/..%2fmetrics", "/%6detrics", "/METRICS", "/auth/metrics", "/auth/password/check"]


@pytest.mark.parametrize("path", HIDDEN)
async def test_internal_calls_are_not_reachable(cluster: LocalCluster, path: str) -> None:
    answer = await raw(cluster, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert status(answer) == 404
    assert b"application/problem+json" in answer


async def raw(cluster: LocalCluster, request: bytes) -> bytes:
    """Send bytes that no client library would send, and return the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(cluster.url).port)
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


def status(answer: bytes) -> int:
    match = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    assert match, answer[:80]
    return int(match.group(1))


def request(line: str, *headers: bytes, body: bytes = b"") -> bytes:
    fixed = [b"Host: x", b"Connection: close", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([f"{line} HTTP/1.1".encode(), *fixed, *headers, b"", body])


JSON = b"Content-Type: application/json"
BAD = {
    **{
        f"0xFF in a session cookie: {info.name}": (
            request(f"GET /{info.name}/mypage", b"Cookie: %b=\xff\xfe; a=\xff" % f"{info.name}-session".encode()),
            401,
        )
        for info in INFOS
        if info.kind is Kind.SESSION
    },
    **{
        f"0xFF in a bearer token: {info.name}": (
            request(f"GET /{info.name}/mypage", b"Authorization: Bearer \xff.\xff.\xff"),
            401,
        )
        for info in INFOS
        if info.kind is Kind.TOKEN
    },
    "not JSON": (request("POST /redis/login", JSON, body=b"{"), 400),
    "not UTF-8": (request("POST /memory/login", JSON, body=b'{"username": "\xff", "password": "x"}'), 400),
    "missing field": (request("POST /auth/login", JSON, body=b'{"username": "a"}'), 400),
    "unknown field": (request("POST /auth/users", JSON, body=b'{"username":"a","password":"b","admin":true}'), 400),
    "wrong type": (request("POST /redis/login", JSON, body=b'{"username": 7, "password": []}'), 400),
    "a form": (request("POST /redis/login", body=b"username=a&password=b"), 415),
    "body over the limit": (request("POST /redis/login", JSON, body=b"x" * 20000), 413),
    "unknown strategy": (request("GET /telepathy/mypage"), 404),
    "wrong method": (request("DELETE /redis/mypage"), 405),
    "header over the limit": (request("GET /jwt/mypage", b"Authorization: Bearer " + b"x" * 70000), 431),
    "no HTTP at all": (b"\x16\x03\x01 hello\r\n\r\n", 400),
}


@pytest.mark.parametrize(("sent", "expected"), BAD.values(), ids=BAD)
async def test_bad_input_is_a_clear_4xx(cluster: LocalCluster, sent: bytes, expected: int) -> None:
    answer = await raw(cluster, sent)
    assert status(answer) == expected
    assert b"application/problem+json" in answer
    assert b"X-Replica: " in answer
    assert b"Traceback" not in answer
