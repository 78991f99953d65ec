"""What users see when Redis is gone, hangs, is slow, full, emptied, or holds what it should not."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio

from services.app.redis_link import connection
from services.app.redis_link import link as redis_link
from services.app.revocations import follower
from services.app.strategy import Capability, Info, Kind
from services.common.redis_client import TIMEOUT_SECONDS
from tests.contract.app.calls import call, logout, page, post_login, until, visit
from tests.support.servers.app import USERS, Client, StartReplica, World, cut, trackers
from tests.support.servers.cutting_proxy import cutting_proxy
from tests.support.servers.valkey import REDIS_PASSWORD, Valkey
from tests.support.strategies import INFOS, each
from tests.support.timing import A_BUSY_MACHINE_ADDS

SHARED = [info for info in INFOS if {Capability.ATOMIC, Capability.ANY_REPLICA} <= info.capabilities]
in_redis = pytest.mark.parametrize("info", SHARED, ids=[info.name for info in SHARED])
"""For each strategy that keeps its sessions in Redis."""

CALLS = [
    ("GET", "mypage"),
    ("POST", "visits"),
    ("GET", "sessions"),
    ("DELETE", "sessions"),
    ("DELETE", "sessions/x"),
    ("POST", "admin/users/x/logout"),
    ("POST", "logout"),
]


@asynccontextmanager
async def client_of(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(valkey.url, password=REDIS_PASSWORD, protocol=2) as client:
        yield client


async def refused_in_time(client: Client, method: str, path: str, login: Any) -> None:
    """Assert a 503 with Retry-After, soon. (`make stress` measures the promised 300 ms.)"""
    began = time.monotonic()
    status, headers, _ = await call(client, method, path, login)
    assert time.monotonic() - began < 0.3 + A_BUSY_MACHINE_ADDS
    assert (status, int(headers["Retry-After"]) >= 1) == (503, True)


@each()
async def test_a_hanging_redis_is_never_a_logout(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    own_valkey.stop()
    began = time.monotonic()
    status, headers, _ = await call(client, "GET", f"/{info.name}/mypage", login)
    assert time.monotonic() - began < 0.3 + A_BUSY_MACHINE_ADDS
    assert status == 200 or (status == 503 and int(headers["Retry-After"]) >= 1)
    own_valkey.go()
    await until(200, page, client, info, login)


@in_redis
async def test_a_dead_redis_costs_no_time(start: StartReplica, world: World, own_valkey: Valkey, info: Info) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    own_valkey.stop()
    await until(503, page, client, info, login)  # now the circuit is open
    began = time.monotonic()
    for _ in range(20):
        assert await page(client, info, login) == 503
        assert (await visit(client, info, login))[0] == 503
        assert await logout(client, info, login) == 503  # a logout that cannot be carried out is not acknowledged
    assert time.monotonic() - began < 60 * 0.25 / 3, "each of them waited for Redis"
    own_valkey.go()
    await until(200, page, client, info, login)


@in_redis
async def test_a_killed_redis_is_503_at_once_and_an_empty_one_is_a_logout(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    """The sessions are lost with it: every user gets a 401, never another answer, and logs in again."""
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info, "root")
    assert await page(client, info, login) == 200
    own_valkey.kill()
    for method, path in CALLS:
        await refused_in_time(client, method, f"/{info.name}/{path}", login)
    status, headers, _ = await post_login(client, info, password=USERS["alice"])
    assert (status, "Set-Cookie" in headers, "Retry-After" in headers) == (503, False, True)
    own_valkey.start()
    await until(401, page, client, info, login)
    await until(200, login_status, client, info)  # it takes another connection, which comes back by itself
    assert await page(client, info, await world.login(client, info)) == 200


async def login_status(client: Client, info: Info) -> int:
    """Log in and return the status."""
    return (await post_login(client, info, password=USERS["alice"]))[0]


@in_redis
async def test_a_full_redis_refuses_logins_and_writes_but_not_reads(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login, other = await world.login(client, info), await world.login(client, info, "bob")
    async with client_of(own_valkey) as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        for name, password in USERS.items():  # who has a session, and who has none yet
            status, headers, _ = await post_login(client, info, login, username=name, password=password)
            assert (status, "Set-Cookie" in headers) == (503, False)
        assert (await visit(client, info, login))[0] == 503
        assert await page(client, info, login) == 200
        world.clock.now += 100  # a use that should be recorded, but cannot be
        assert await page(client, info, login) == 200
        assert await logout(client, info, other) == 204
        assert await page(client, info, other) == 401
        await admin.config_set("maxmemory", "0")
    assert await visit(client, info, login) == (200, 1)


@in_redis
async def test_a_slow_redis_is_503_and_then_recovers(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    async with client_of(own_valkey) as admin:
        await admin.client_pause(1500)
        statuses = set()
        async with asyncio.timeout(1.4):
            while 503 not in statuses:
                statuses.add(await page(client, info, login))
        assert statuses <= {200, 503}  # 200: what was remembered, for a second at most
    await until(200, page, client, info, login)


@in_redis
@pytest.mark.parametrize(
    "value",
    [b"\xff", b"{}", b"[1,2,3,4]", b"null", b'[1.0,2.0,["a"],{}]', b'[9999999999,1,1.0,["",1,[]],["",""],{}]', None],
)
async def test_a_corrupted_or_foreign_value_is_a_logged_out_user_and_a_log_line(
    replica: Client, world: World, info: Info, value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    login = await world.login(replica, info)
    assert await page(replica, info, login) == 200
    async with world.redis() as client:
        (key,) = await world.keys_in_redis()
        (field,) = await client.hkeys(key)
        if value is None:  # of another type altogether
            await client.set(key, b"a text")
        else:
            await client.hset(key, field, value)
        await until(401, page, replica, info, login)
        assert (await visit(replica, info, login))[0] == 401
        assert (await call(replica, "GET", f"/{info.name}/sessions", login))[0] == 401
        assert await logout(replica, info, login) == 204
    assert "logged out" in caplog.text
    assert login["Cookie"].partition("=")[2] not in caplog.text  # S15
    assert await page(replica, info, await world.login(replica, info)) == 200


@in_redis
async def test_changes_made_while_the_tracking_link_was_lost_are_seen_when_it_is_back(
    replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    assert await page(replica, info, login) == 200
    before = await trackers(world)
    assert before
    await cut(world, before)
    async with world.redis() as client:
        for key in await world.keys_in_redis():
            await client.delete(key)
    async with asyncio.timeout(5):
        while not set(await trackers(world)) - set(before):
            pass
    assert await page(replica, info, login) == 401


@each()
async def test_losing_all_connections_fails_no_request(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them was in use, so nothing fails, not even a write, at the first attempt to reconnect."""
    for module in (redis_link, connection):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", TIMEOUT_SECONDS + A_BUSY_MACHINE_ADDS)
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    async with client_of(own_valkey) as admin:
        await until(True, all_connected, admin, links_of(client))
        for module in (redis_link, follower):
            monkeypatch.setattr(module, "RETRY_SECONDS", 3600)
        for visits in range(1, 6):
            await until(True, all_connected, admin, links_of(client))
            await admin.client_kill_filter(_type="normal")
            assert await page(client, info, login) == 200
            if Capability.VISITS in info.capabilities:
                assert await visit(client, info, login) == (200, visits)
            if Capability.DEVICES in info.capabilities:
                assert (await call(client, "GET", f"/{info.name}/sessions", login))[0] == 200
        await until(True, all_connected, admin, links_of(client))
        await admin.client_kill_filter(_type="normal")
        assert await logout(client, info, login) == 204  # a write that no read goes before


@in_redis
@pytest.mark.parametrize(("word", "path"), [(b"HGET\r", "mypage"), (b"HGET\r", "sessions"), (b"HGETALL", "sessions")])
async def test_a_read_whose_answer_is_lost_is_repeated(
    start: StartReplica, world: World, info: Info, word: bytes, path: str
) -> None:
    async with cutting_proxy(world.valkey.url) as proxy:
        client = await start("a", redis_url=proxy.url)
        login = await world.login(client, info)
        proxy.cut_at(word)
        assert (await call(client, "GET", f"/{info.name}/{path}", login))[0] == 200
        assert proxy.cuts == 1


@in_redis
async def test_a_write_whose_answer_is_lost_is_503_and_done_once(start: StartReplica, world: World, info: Info) -> None:
    async with cutting_proxy(world.valkey.url) as proxy:
        client = await start("a", redis_url=proxy.url)
        login = await world.login(client, info)
        assert await visit(client, info, login) == (200, 1)
        proxy.cut_at(b"EVALSHA")
        assert (await visit(client, info, login))[0] == 503
        assert proxy.cuts == 1
        assert await visit(client, info, login) == (200, 3)


@in_redis
async def test_changes_are_announced_on_the_new_connection_too(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    """What was read since the connection was lost is forgotten when it changes in Redis (`CLIENT TRACKING`)."""
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    async with client_of(own_valkey) as admin:
        await admin.client_kill_filter(_type="normal")
        await until(True, tracked, admin)
        for _ in range(3):  # from now on it is remembered
            assert await page(client, info, login) == 200
        for key in await admin.keys(f"{info.name}:*"):
            await admin.delete(key)
    await until(401, page, client, info, login)


def links_of(client: Client) -> int:
    """Return how many links to Redis the replica keeps: one that all share, and those of single strategies."""
    kept = [getattr(context, "__self__", None) for context in client.app.cleanup_ctx] if client.app else []
    return sum(isinstance(owner, redis_link.RedisLink) for owner in kept)


async def all_connected(admin: redis.asyncio.Redis, links: int) -> bool:
    """Return whether a replica has its links, and follows the stream."""
    commands = [one["cmd"] for one in await admin.client_list()]
    return commands.count("ping") + commands.count("hget") == links and "xread" in commands


async def tracked(admin: redis.asyncio.Redis) -> bool:
    """Return whether Redis announces changes to anybody."""
    return any("t" in one["flags"] for one in await admin.client_list())


@each(Kind.SESSION, lacking=Capability.ANY_REPLICA)
async def test_sessions_in_the_replicas_memory_need_no_redis(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    own_valkey.kill()
    login = await world.login(client, info)
    assert await page(client, info, login) == 200
    assert await visit(client, info, login) == (200, 1)
    assert await logout(client, info, login) == 204
    assert await page(client, info, login) == 401
