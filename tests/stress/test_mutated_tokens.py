"""100,000 tokens a few steps away from valid ones, through the load balancer: none is accepted, none is a 5xx."""

import asyncio
import itertools
from collections import Counter

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from tests.support.attacks.mutants import mutants
from tests.support.clients.browsers import Browsers

pytestmark = pytest.mark.stress

MUTANTS, CONNECTIONS = 100_000, 32
APP_SHARE = 0.9  # the rest is introspected and used for refreshing


@pytest.mark.timeout(1200)
async def test_s17_no_mutant_of_a_token_is_accepted(cluster: LocalCluster) -> None:
    browsers = Browsers(cluster.url)
    browser = await browsers.register()
    assert (await browser.log_in("/auth/login")).status == 200
    access, refresh = browser.tokens["access_token"], browser.tokens["refresh_token"]
    client = {"Authorization": aiohttp.encode_basic_auth("app", cluster.secret("app-client-secret"))}
    seen: Counter[tuple[str, int, bool]] = Counter()

    async def page(http: aiohttp.ClientSession, token: str) -> None:
        async with http.get("/jwt/mypage", headers={"Authorization": f"Bearer {token}"}) as answer:
            seen["page", answer.status, False] += 1

    async def introspect(http: aiohttp.ClientSession, token: str) -> None:
        async with http.post("/auth/introspect", data={"token": token}, headers=client) as answer:
            seen["introspect", answer.status, (await answer.json()).get("active", False)] += 1

    count = int(MUTANTS * APP_SHARE)
    calls = itertools.chain(
        ((page, mutant) for mutant in mutants(access, count, seed=2)),
        ((introspect, mutant) for mutant in mutants(access, (MUTANTS - count) // 2, seed=3)),
        ((introspect, mutant) for mutant in mutants(refresh, (MUTANTS - count) // 2, seed=4)),
    )

    async def work(http: aiohttp.ClientSession) -> None:
        for call, mutant in calls:
            await call(http, mutant)

    timeout = aiohttp.ClientTimeout(total=2)  # and no hang
    async with aiohttp.ClientSession(cluster.url, timeout=timeout) as http:
        await asyncio.gather(*(work(http) for _ in range(CONNECTIONS)))
        assert seen.total() == MUTANTS
        assert set(seen) == {("page", 401, False), ("introspect", 200, False)}, seen
        async with http.get("/jwt/mypage", headers={"Authorization": f"Bearer {access}"}) as answer:
            assert answer.status == 200  # the one that they are mutants of
    await browsers.close()
