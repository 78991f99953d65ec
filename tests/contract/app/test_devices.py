"""Devices, the limit on logins, and forced logout, under every strategy that knows a user's logins."""

import asyncio
from typing import Any

import pytest
from aiohttp.http import SERVER_SOFTWARE

from services.app.strategy import Capability, Info, Kind
from tests.contract.app.calls import call, logout, page, post_login, until
from tests.support.servers.app import USERS, Client, StartReplica, World
from tests.support.strategies import each

devices = each(Kind.SESSION, having=Capability.DEVICES)
forced = each(Kind.SESSION, having=Capability.FORCED_LOGOUT)
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; like Mac OS X) Version/17 Safari/6", "X-Forwarded-For": "192.0.2.7"}


async def sessions(client: Client, info: Info, login: Any) -> list[dict[str, Any]]:
    status, headers, body = await call(client, "GET", f"/{info.name}/sessions", login)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"  # S10
    listed: list[dict[str, Any]] = body["sessions"]
    return listed


async def force(client: Client, info: Info, login: Any, user_id: str) -> tuple[int, Any]:
    status, _, body = await call(client, "POST", f"/{info.name}/admin/users/{user_id}/logout", login)
    return status, body


@devices
async def test_s13_users_recognise_their_sessions_in_the_list(replica: Client, world: World, info: Info) -> None:
    began = world.clock.now
    first = await world.login(replica, info)
    world.clock.now += 100
    _, headers, _ = await post_login(replica, info, PHONE, password=USERS["alice"])
    second = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    await world.login(replica, info, "bob")
    listed = await sessions(replica, info, second)
    assert [(one["address"], one["user_agent"], one["current"]) for one in listed] == [
        ("192.0.2.7", "Safari on iPhone", True),
        ("127.0.0.1", SERVER_SOFTWARE[:24], False),
    ]
    assert [one["created_at"] for one in listed] == pytest.approx([began + 100, began], abs=0.002)
    assert all(abs(one["last_seen_at"] - one["created_at"]) <= 1 for one in listed)
    world.clock.now += 20
    assert [one["current"] for one in await sessions(replica, info, first)] == [True, False]  # it was used last


@devices
async def test_s15_listed_ids_cannot_be_used_to_log_in(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    (listed,) = await sessions(replica, info, login)
    cookie = login["Cookie"].partition("=")[2]
    assert listed["id"] not in cookie
    async with world.redis() as client:
        for key in await world.keys_in_redis():
            assert cookie not in repr([key, await client.hgetall(key)])


@devices
async def test_s13_one_session_is_ended_and_the_others_continue(replica: Client, world: World, info: Info) -> None:
    mine, lost = await world.login(replica, info), await world.login(replica, info)
    others = await world.login(replica, info, "bob")
    (stolen,) = [one["id"] for one in await sessions(replica, info, lost) if one["current"]]
    path = f"/{info.name}/sessions/{stolen}"
    assert (await call(replica, "DELETE", path, others))[0] == 404  # somebody else's
    for target in (path, f"/{info.name}/sessions"):
        assert (await call(replica, "DELETE", target, mine | {"Origin": "https://evil.example"}))[0] == 403  # S14
    assert await page(replica, info, lost) == 200
    assert (await call(replica, "DELETE", path, mine))[0] == 204
    assert [await page(replica, info, login) for login in (mine, lost, others)] == [200, 401, 200]
    assert (await call(replica, "DELETE", path, mine))[0] == 404
    assert (await call(replica, "DELETE", path))[0] == 401


@devices
@pytest.mark.parametrize(("query", "own"), [("", 401), ("?others=false", 401), ("?others=true", 200)])
async def test_s13_all_sessions_are_ended_or_all_others(
    replica: Client, world: World, info: Info, query: str, own: int
) -> None:
    mine, lost = await world.login(replica, info), await world.login(replica, info)
    others = await world.login(replica, info, "bob")
    status, headers, body = await call(replica, "DELETE", f"/{info.name}/sessions{query}", mine)
    reach = "cluster" if Capability.ANY_REPLICA in info.capabilities else "replica"
    assert (status, body) == (200, {"ended": 1 if own == 200 else 2, "reach": reach})
    assert headers["Cache-Control"] == "no-store"  # S10
    assert [await page(replica, info, login) for login in (mine, lost, others)] == [own, 401, 200]
    assert (await call(replica, "DELETE", f"/{info.name}/sessions"))[0] == 401


@devices
@pytest.mark.parametrize("query", ["others=yes", "others=", "other=true", "others=true&others=true"])
async def test_an_invalid_parameter_ends_nothing(replica: Client, world: World, info: Info, query: str) -> None:
    login = await world.login(replica, info)
    assert (await call(replica, "DELETE", f"/{info.name}/sessions?{query}", login))[0] == 400
    assert await page(replica, info, login) == 200


@devices
async def test_the_limit_denies_one_more_login(start: StartReplica, world: World, info: Info) -> None:
    client = await start("a", session_limit=2, session_limit_policy="deny")
    logins = [await world.login(client, info) for _ in range(2)]
    status, headers, problem = await post_login(client, info, password=USERS["alice"])
    assert (status, "Set-Cookie" in headers) == (409, False)
    assert "limit of 2 logins" in problem["detail"]
    foreign = await world.login(client, info, "bob")
    assert (await post_login(client, info, foreign, password=USERS["alice"]))[0] == 409
    assert await page(client, info, foreign) == 200  # a login that failed has logged nobody out
    assert [await page(client, info, login) for login in logins] == [200, 200]
    again = await post_login(client, info, logins[0], password=USERS["alice"])  # in the place of its own
    assert again[0] == 200
    assert await logout(client, info, logins[1]) == 204
    await world.login(client, info)


@devices
async def test_the_limit_ends_the_session_unused_for_longest(start: StartReplica, world: World, info: Info) -> None:
    client = await start("a", session_limit=2)
    first = await world.login(client, info)
    world.clock.now += 20
    second = await world.login(client, info)
    world.clock.now += 20
    assert await page(client, info, first) == 200
    third = await world.login(client, info)
    assert [await page(client, info, login) for login in (first, second, third)] == [200, 401, 200]


@devices
async def test_the_limit_holds_for_concurrent_logins_at_two_replicas(
    start: StartReplica, world: World, info: Info
) -> None:
    clients = [await start(name, session_limit=3, session_limit_policy="deny") for name in ("a", "b")]
    clients = clients if Capability.ANY_REPLICA in info.capabilities else clients[:1]
    answers = await asyncio.gather(
        *(post_login(clients[n % len(clients)], info, password=USERS["alice"]) for n in range(10))
    )
    assert sorted(status for status, _, _ in answers) == [200] * 3 + [409] * 7
    login = next({"Cookie": headers["Set-Cookie"].partition(";")[0]} for status, headers, _ in answers if status == 200)
    assert len(await sessions(clients[0], info, login)) == 3


@forced
async def test_s13_administrators_end_anybodys_sessions(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    everywhere = Capability.ANY_REPLICA in info.capabilities
    here, there = await world.login(replica, info), await world.login(other_replica, info)
    others, admin = await world.login(replica, info, "bob"), await world.login(replica, info, "root")
    assert await page(other_replica, info, there) == 200  # that replica must forget what it remembers of it
    expected = {"ended": 2, "reach": "cluster"} if everywhere else {"ended": 1, "reach": "replica"}
    assert await force(replica, info, admin, "id-of-alice") == (200, expected)
    assert await page(replica, info, here) == 401
    await until(401 if everywhere else 200, page, other_replica, info, there)
    assert await page(replica, info, others) == 200
    assert await force(replica, info, admin, "id-of-alice") == (200, {"ended": 0, "reach": expected["reach"]})
    assert await force(replica, info, admin, "id-of-nobody") == (200, {"ended": 0, "reach": expected["reach"]})


@forced
async def test_j18_a_forced_logout_requires_the_administrator_role(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    assert (await force(replica, info, login, "id-of-bob"))[0] == 403
    assert (await force(replica, info, {}, "id-of-bob"))[0] == 401
    admin = await world.login(replica, info, "root")
    assert (await force(replica, info, admin | {"Sec-Fetch-Site": "cross-site"}, "id-of-alice"))[0] == 403  # S14
    assert await page(replica, info, login) == 200


@each(lacking=Capability.DEVICES)
async def test_strategies_that_cannot_know_devices_do_not_offer_the_calls(replica: Client, info: Info) -> None:
    for method, path in (("GET", "sessions"), ("DELETE", "sessions"), ("DELETE", "sessions/{id}")):
        assert (await call(replica, method, f"/{info.name}/{path}"))[0] == 404
    assert (await call(replica, "POST", f"/{info.name}/admin/users/{{id}}/logout"))[0] == 404
