"""How many token logins a user may have, and what happens to one more: two processes on one Redis and database."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientResponse
from redis.asyncio import Redis

from services.auth.application import PARTS
from services.common.revocations import STREAM
from tests.support.clock import ManualClock
from tests.support.servers.auth import Client, StartAuth
from tests.support.servers.valkey import Valkey

pytest_plugins = ("tests.support.servers.auth_fixtures",)

ANN = {"username": "ann", "password": "correct horse"}
BOB = {"username": "bob", "password": "battery staple"}
Tokens = dict[str, Any]


async def start(start_auth: StartAuth, most: int, policy: str = "end-oldest", **options: Any) -> Client:
    auth = await start_auth(SESSION_LIMIT=most, SESSION_LIMIT_POLICY=policy, **options)
    for who in (ANN, BOB):
        assert (await auth.post("/auth/users", json=who)).status in (201, 409)
    return auth


async def log_in(auth: Client, who: dict[str, str] = ANN) -> Tokens:
    answer = await auth.post("/auth/login", json=who)
    assert answer.status == 200
    return dict(await answer.json())


async def refresh(auth: Client, login: Tokens) -> bool:
    """Return whether the login can be refreshed, and if so keep its next token."""
    form = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
    answer = await auth.post("/auth/token", data=form)
    assert answer.status == 200 or (await answer.json())["error"] == "invalid_grant"
    login |= await answer.json() if answer.status == 200 else {}
    return answer.status == 200


async def listed(auth: Client, login: Tokens) -> list[dict[str, Any]]:
    answer = await auth.get("/auth/sessions", headers={"Authorization": f"Bearer {login['access_token']}"})
    assert answer.status == 200
    return list((await answer.json())["sessions"])


async def ended(auth: Client) -> list[str]:
    """Return the logins whose revocation has been published."""
    redis: Redis = auth.app[PARTS].redis
    entries: Any = await redis.xrange(STREAM)
    return [fields[b"subject"].decode() for _, fields in entries if fields[b"kind"] == b"family"]


@pytest.mark.parametrize("idle", [1_000, 100_000])  # the longer one never ends a login: the first one expires first
async def test_one_more_login_ends_the_one_refreshed_longest_ago_and_publishes_it(
    start_auth: StartAuth, clock: ManualClock, idle: int
) -> None:
    auth = await start(start_auth, 3, REFRESH_IDLE_SECONDS=idle, REFRESH_ABSOLUTE_SECONDS=10_000)
    bob = await log_in(auth, BOB)
    logins = []
    for _ in range(3):
        clock.now += 60
        logins.append(await log_in(auth))
    clock.now += 60
    assert await refresh(auth, logins[0])
    oldest = next(one["id"] for one in await listed(auth, logins[1]) if one["current"])
    clock.now += 60
    logins.append(await log_in(auth))
    assert len(await listed(auth, logins[3])) == 3
    assert await ended(auth) == [oldest]
    assert [await refresh(auth, login) for login in logins] == [True, False, True, True]
    assert await refresh(auth, bob)


async def test_one_login_too_many_is_denied_if_that_is_the_policy(start_auth: StartAuth, clock: ManualClock) -> None:
    auth = await start(start_auth, 2, "deny")
    logins = [await log_in(auth) for _ in range(2)]
    answer = await auth.post("/auth/login", json=ANN)
    assert (answer.status, (await answer.json())["type"]) == (409, "urn:authscale:problem:conflict")
    assert "limit of 2 logins" in (await answer.json())["detail"]
    assert (await auth.post("/auth/login", json=ANN | {"password": "wrong horse"})).status == 401
    await log_in(auth, BOB)
    assert [await refresh(auth, login) for login in logins] == [True, True]
    assert await ended(auth) == []
    await auth.post("/auth/revoke", data={"token": logins[0]["refresh_token"]})
    await log_in(auth)


async def test_logins_that_have_expired_do_not_count(start_auth: StartAuth, clock: ManualClock) -> None:
    auth = await start(start_auth, 2, "deny", REFRESH_IDLE_SECONDS=100)
    for _ in range(3):
        for _ in range(2):
            await log_in(auth)
        clock.now += 100
    assert await ended(auth) == []


@pytest.mark.parametrize("policy", ["deny", "end-oldest"])
async def test_the_limit_holds_for_concurrent_logins_at_two_processes(start_auth: StartAuth, policy: str) -> None:
    clients = [await start(start_auth, 3, policy), await start(start_auth, 3, policy)]
    answers = await asyncio.gather(*(clients[n % 2].post("/auth/login", json=ANN) for n in range(12)))
    expected = [200] * 3 + [409] * 9 if policy == "deny" else [200] * 12
    assert sorted(answer.status for answer in answers) == expected
    logins = [await answer.json() for answer in answers if answer.status == 200]
    assert [await refresh(clients[0], login) for login in logins].count(True) == 3
    assert len(await ended(clients[0])) == len(logins) - 3


async def test_a_lowered_limit_applies_from_the_next_login_on(start_auth: StartAuth, clock: ManualClock) -> None:
    before = await start(start_auth, 10)
    logins = []
    for _ in range(6):
        logins.append(await log_in(before))
        clock.now += 1
    after = await start(start_auth, 2)
    assert [await refresh(after, login) for login in logins] == [True] * 6
    await log_in(after)
    assert [await refresh(after, login) for login in logins].count(True) == 1


async def test_a_login_that_cannot_be_stored_ends_no_other(start_auth: StartAuth, frail_valkey: Valkey) -> None:
    auth = await start(start_auth, 2, valkey=frail_valkey)
    logins = [await log_in(auth) for _ in range(2)]
    redis: Redis = auth.app[PARTS].redis
    await redis.config_set("maxmemory", "1")
    answer: ClientResponse = await auth.post("/auth/login", json=ANN)
    await redis.config_set("maxmemory", "0")
    assert answer.status == 503
    assert [await refresh(auth, login) for login in logins] == [True, True]
