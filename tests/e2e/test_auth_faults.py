"""Tokens while Redis or an auth process is away (C8): "unknown" never becomes "no", and valid tokens stay valid."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from services.app.strategy import Kind
from tests.drills.auth_service import answers_while_redis_hangs, auth_kills, refresh_races, revoke_races
from tests.support.clients.browsers import Browser, Browsers
from tests.support.strategies import INFOS

pytestmark = pytest.mark.e2e
SAMPLE = 20


async def test_t4_parallel_refreshes_over_two_processes_are_one_lineage(cluster: LocalCluster) -> None:
    seen = await refresh_races(cluster, SAMPLE)
    assert seen == {"one lineage": SAMPLE, "afterwards 200": 1}


async def test_t5_nothing_survives_a_revocation_that_races_refreshes(cluster: LocalCluster) -> None:
    seen = await revoke_races(cluster, SAMPLE)
    assert set(seen) <= {"dead", "won"}
    assert seen["dead"] >= SAMPLE


async def test_t4_a_refresh_that_a_crash_left_unanswered_can_be_repeated(cluster: LocalCluster) -> None:
    seen = await auth_kills(cluster, 2)
    assert seen.pop("hit") > 0
    assert set(seen) == {"200"}, "no false alarm"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def test_a_hanging_redis_means_503_and_never_an_invalid_token(
    cluster: LocalCluster, http: aiohttp.ClientSession
) -> None:
    answers = await answers_while_redis_hangs(cluster, http)
    assert answers.pop("my page").status == 200, "C8: verification needs no store"
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, 503)
    for answer in answers.values():
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["X-Replica"].startswith("auth-"), "the service says it, not the load balancer"


@pytest.fixture
async def device(cluster: LocalCluster, browsers: Browsers) -> Browser:
    browser = await browsers.register()
    assert (await browser.log_in("/auth/login")).status == 200
    return browser


async def refreshed(device: Browser) -> aiohttp.ClientResponse:
    form = {"grant_type": "refresh_token", "refresh_token": device.tokens["refresh_token"]}
    answer = await device.http.post("/auth/token", data=form)
    await answer.read()
    return answer


async def refreshed_when_back(device: Browser) -> int:
    """Present the same refresh token until the answer is not 503."""
    async with asyncio.timeout(30):
        while (answer := await refreshed(device)).status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
    return answer.status


async def test_t3_the_refresh_token_is_still_valid_after_redis_has_hung(cluster: LocalCluster, device: Browser) -> None:
    await asyncio.to_thread(cluster.signal, "redis", "STOP")
    try:
        assert (await refreshed(device)).status == 503
        assert (await device.get("/jwt/mypage")).status == 200
    finally:
        await asyncio.to_thread(cluster.signal, "redis", "CONT")
    assert await refreshed_when_back(device) == 200


async def test_t3_the_refresh_token_is_still_valid_after_redis_was_killed(
    cluster: LocalCluster, device: Browser
) -> None:
    """Its append-only file has every acknowledged login."""
    await asyncio.to_thread(cluster.kill, "redis")
    assert (await device.get("/jwt/mypage")).status == 200
    assert await refreshed_when_back(device) == 200
    await asyncio.to_thread(cluster.wait_ready)


async def test_session_logins_do_not_depend_on_one_auth_process(cluster: LocalCluster, browsers: Browsers) -> None:
    logins = [str(info.login) for info in INFOS if info.kind is Kind.SESSION]
    people = [(await browsers.register(), login) for login in logins for _ in range(4)]
    await asyncio.to_thread(cluster.signal, "auth-1", "TERM")
    answers = [(login, (await person.log_in(login)).status) for person, login in people]
    assert set(answers) == {(login, 200) for login in logins}
    await asyncio.to_thread(cluster.wait_ready)
