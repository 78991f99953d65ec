"""The HTTP contract through the load balancer, with everything real."""

import asyncio
import re
from urllib.parse import urlsplit

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from tests.e2e.conftest import Browser, Browsers

pytestmark = pytest.mark.e2e


def login_path(strategies: list[dict[str, object]], name: str) -> str:
    return next(str(strategy["login"]) for strategy in strategies if strategy["name"] == name)


async def logged_in(browsers: Browsers, strategies: list[dict[str, object]], name: str) -> Browser:
    browser = await browsers.register()
    answer = await browser.log_in(login_path(strategies, name))
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"  # S10
    return browser


async def test_strategies_are_listed(strategies: list[dict[str, object]]) -> None:
    kinds = {strategy["name"]: strategy["kind"] for strategy in strategies}
    assert kinds == {"anonymous": "control", "memory": "session", "redis": "session", "jwt": "token"}


@pytest.mark.parametrize("name", ["memory", "redis", "jwt"])
async def test_my_page_shows_its_user_and_nobody_else(
    browsers: Browsers, strategies: list[dict[str, object]], name: str
) -> None:
    stranger = await browsers.register()
    assert (await stranger.get(f"/{name}/mypage")).status == 401
    browser = await logged_in(browsers, strategies, name)
    for _ in range(6):
        answer = await browser.get(f"/{name}/mypage")
        page = await answer.json()
        assert (answer.status, page["strategy"], page["user"]["name"]) == (200, name, browser.username)
        assert page["replica"] == answer.headers["X-Replica"]


@pytest.mark.parametrize("name", ["anonymous", "redis", "jwt"])
async def test_without_affinity_every_replica_answers_alike(  # S18
    cluster: LocalCluster, browsers: Browsers, strategies: list[dict[str, object]], name: str
) -> None:
    browser = await browsers.register() if name == "anonymous" else await logged_in(browsers, strategies, name)
    answers = [await browser.get(f"/{name}/mypage") for _ in range(12)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["X-Replica"] for answer in answers} == set(cluster.replicas())


async def test_memory_sticks_to_one_replica_from_the_first_request(
    cluster: LocalCluster, browsers: Browsers, strategies: list[dict[str, object]]
) -> None:
    people = [await logged_in(browsers, strategies, "memory") for _ in range(6)]
    homes = []
    for person in people:
        answers = [await person.get("/memory/mypage") for _ in range(6)]
        assert {answer.status for answer in answers} == {200}
        homes.append({answer.headers["X-Replica"] for answer in answers})
    assert all(len(home) == 1 for home in homes)
    assert set.union(*homes) == set(cluster.replicas())


async def test_memory_without_affinity_forgets(
    cluster: LocalCluster, browsers: Browsers, strategies: list[dict[str, object]]
) -> None:
    browser = await browsers.register(cluster.url_no_affinity)
    await browser.log_in(login_path(strategies, "memory"))
    statuses = {(await browser.get("/memory/mypage")).status for _ in range(9)}
    assert statuses == {200, 401}


@pytest.mark.parametrize("name", ["memory", "redis"])
async def test_visits_are_counted_in_the_session(
    browsers: Browsers, strategies: list[dict[str, object]], name: str
) -> None:
    browser = await logged_in(browsers, strategies, name)
    counts = [(await (await browser.post(f"/{name}/visits")).json())["visits"] for _ in range(4)]
    assert counts == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["memory", "redis"])
async def test_s4_logout_is_final(
    cluster: LocalCluster, browsers: Browsers, strategies: list[dict[str, object]], name: str
) -> None:
    browser = await logged_in(browsers, strategies, name)
    replayed = {cookie.key: cookie.value for cookie in browser.http.cookie_jar}
    assert (await browser.post(f"/{name}/logout")).status == 204
    for _ in cluster.replicas():
        async with aiohttp.request("GET", f"{cluster.url}/{name}/mypage", cookies=replayed) as answer:
            assert answer.status == 401


async def test_t2_refresh_rotates_and_the_new_access_token_works(
    browsers: Browsers, strategies: list[dict[str, object]]
) -> None:
    browser = await logged_in(browsers, strategies, "jwt")
    form = {"grant_type": "refresh_token", "refresh_token": browser.tokens["refresh_token"]}
    answer = await browser.http.post("/auth/token", data=form)
    renewed = await answer.json()
    assert answer.status == 200
    assert renewed["refresh_token"] != browser.tokens["refresh_token"]
    browser.tokens = renewed
    assert (await browser.get("/jwt/mypage")).status == 200
    revoked = await browser.http.post("/auth/revoke", data={"token": renewed["refresh_token"]})
    assert revoked.status == 200
    form["refresh_token"] = renewed["refresh_token"]
    dead = await browser.http.post("/auth/token", data=form)
    assert (dead.status, (await dead.json())["error"]) == (400, "invalid_grant")


HIDDEN = ["/metrics", "//metrics", "/x/..%2fmetrics", "/%6detrics", "/METRICS", "/auth/metrics", "/auth/password/check"]


@pytest.mark.parametrize("path", HIDDEN)
async def test_what_is_internal_is_not_reachable(cluster: LocalCluster, path: str) -> None:
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
    "0xFF in a session cookie": (request("GET /redis/mypage", b"Cookie: authscale_redis=\xff\xfe; a=\xff"), 401),
    "0xFF in a bearer token": (request("GET /jwt/mypage", b"Authorization: Bearer \xff.\xff.\xff"), 401),
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
