"""What users see when Redis is gone, hangs, is full, was emptied, or holds what it should not."""

import signal
import time

import pytest
import redis.asyncio

from services.app.strategy import Capability, Info, Kind
from tests.contract.calls import INFOS, call, each, page
from tests.contract.conftest import Client, StartReplica, Valkey, World


@each()
async def test_redis_that_hangs_is_never_a_logout(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    own_valkey.signal(signal.SIGSTOP)
    began = time.monotonic()
    status, headers, _ = await call(client, "GET", f"/{info.name}/mypage", login)
    assert time.monotonic() - began < 1.5  # 0.25 s, and what a busy machine adds
    assert status == 200 or (status == 503 and int(headers["Retry-After"]) >= 1)
    own_valkey.signal(signal.SIGCONT)
    assert await page(client, info, login) == 200


@each()
async def test_redis_away_is_503_and_its_restart_is_noticed_at_once(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    login = await world.login(client, info)
    own_valkey.kill()
    before = await page(client, info, login)
    assert before in (200, 503)
    if Capability.LOGOUT in info.capabilities:  # a logout that cannot be made true is not acknowledged
        assert (await call(client, "POST", f"/{info.name}/logout", login))[0] == (204 if before == 200 else 503)
    own_valkey.start()
    assert await page(client, info, await world.login(client, info)) == 200


async def test_a_corrupted_value_in_redis_is_a_logged_out_user(
    replica: Client, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = redis.asyncio.Redis.from_url(world.valkey.url, password="redis-pass", protocol=2)
    async with client:
        for info in (info for info in INFOS if info.kind is Kind.SESSION):
            for value in (b"\xff", b"{}", b"[1,2,3,4]", b"null", b'[1.0,2.0,["a"],{}]', None):
                login = await world.login(replica, info)
                for key in await client.keys("*"):
                    await client.delete(key)
                    await (client.set(key, value) if value else client.hset(key, "a", "b"))
                    assert await page(replica, info, login) == 401
                    assert (await call(replica, "POST", f"/{info.name}/visits", login))[0] == 401
                await client.flushdb()
                assert login["Cookie"].partition("=")[2] not in caplog.text  # S15
    assert "no session" in caplog.text
