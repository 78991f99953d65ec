"""One address floods the calls that hash passwords; users at another address can still log in."""

import asyncio
import itertools
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is not an address of this machine"),
]
OTHER = "127.0.0.2"
LOGINS, MUST_SUCCEED, WITHIN_SECONDS = 20, 19, 2.0
AT_ONCE = 180  # the pools of both auth processes have 132 places

Body = dict[str, str]


def somebody() -> Body:
    return {"username": f"fair-{secrets.token_hex(8)}", "password": secrets.token_urlsafe(16)}


@asynccontextmanager
async def client_at(address: str, cluster: LocalCluster) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a client whose connections come from *address*; it keeps no cookies."""
    connector, jar = aiohttp.TCPConnector(local_addr=(address, 0), limit=0), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cluster.url, connector=connector, cookie_jar=jar) as http:
        yield http


async def post(http: aiohttp.ClientSession, path: str, body: Body) -> tuple[int, float]:
    """Return the status and `Retry-After`."""
    async with http.post(path, json=body) as answer:
        await answer.read()
        return answer.status, float(answer.headers.get("Retry-After", 0))


@asynccontextmanager
async def flooded(http: aiohttp.ClientSession, path: str, bodies: Callable[[], Body]) -> AsyncIterator[Counter[int]]:
    """Post `AT_ONCE` of *bodies* at a time to *path* during the block, which begins when the first one is refused.

    Refused clients come again when they are told to, not earlier, which would flood nginx and this machine's CPUs.
    """
    seen: Counter[int] = Counter()
    full = asyncio.Event()

    async def flood() -> None:
        while True:
            status, retry_after = await post(http, path, bodies())
            seen[status] += 1
            if retry_after:
                full.set()
                await asyncio.sleep(retry_after)

    tasks = [asyncio.create_task(flood()) for _ in range(AT_ONCE)]
    try:
        await asyncio.wait_for(full.wait(), 30)
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def timely_logins(http: aiohttp.ClientSession, account: Body) -> list[tuple[int, float]]:
    """Log in again and again, under token and session strategies in turn; return statuses and seconds."""
    seen = []
    for path in itertools.islice(itertools.cycle(["/auth/login", "/redis/login"]), LOGINS):
        began = time.perf_counter()
        status, _ = await post(http, path, account)
        seen.append((status, round(time.perf_counter() - began, 3)))
    return seen


@pytest.mark.parametrize(("path", "address"), [("/auth/users", "127.0.0.3"), ("/auth/login", "127.0.0.4")])
async def test_t10_a_flood_from_one_address_does_not_keep_another_from_logging_in(
    cluster: LocalCluster, path: str, address: str
) -> None:
    async with client_at(address, cluster) as flooder, client_at(OTHER, cluster) as other:
        own, account = somebody(), somebody()
        assert (await post(flooder, "/auth/users", own))[0] == 201
        assert (await post(other, "/auth/users", account))[0] == 201
        async with flooded(flooder, path, somebody if path == "/auth/users" else lambda: own) as seen:
            logins = await timely_logins(other, account)
    in_time = sum(status == 200 and seconds <= WITHIN_SECONDS for status, seconds in logins)
    assert in_time >= MUST_SUCCEED, (seen, logins)
    assert seen[429] > 0, "whoever takes too much is told so"
