"""Revocations reach the replicas: tokens under a denylist, and sessions of every strategy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from services.app.revocations import follower
from services.app.strategy import Capability, Info, Kind
from services.common.http.problems import Unavailable
from services.common.revocations import STREAM
from tests.contract.app.calls import call, logout, page, until, visit
from tests.support.servers.app import Client, FakeAuth, StartReplica, World
from tests.support.servers.valkey import REDIS_PASSWORD, Valkey
from tests.support.strategies import each

denied = each(Kind.TOKEN, having=Capability.FORCED_LOGOUT)
ended = each(Kind.SESSION, having=Capability.FORCED_LOGOUT)


def bearer(world: World, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.auth.token(**claims)}"}


@asynccontextmanager
async def follow(world: World, *listeners: follower.Listener) -> AsyncIterator[follower.RevocationFollower]:
    """Yield a follower of the stream without a replica."""
    following = follower.RevocationFollower(world.valkey.url, REDIS_PASSWORD, longest=3600, clock=world.clock)
    for listener in listeners:
        following.tell(listener)
    life = following.followed(web.Application())
    await anext(life)
    try:
        yield following
    finally:
        async for _ in life:
            raise AssertionError


async def test_a_follower_whose_connection_is_lost_continues_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", 3600)
    async with follow(world) as following, world.redis() as redis:
        for number in range(3):
            await redis.client_kill_filter(_type="normal")
            await world.revoke("family", f"login {number}")
            await until(number + 1, known_to, following)


async def known_to(following: follower.RevocationFollower) -> int:
    """Return how many revocations are known."""
    return len(following.denylist)


# ---- tokens


@denied
@pytest.mark.parametrize("kind", ["jti", "family", "user"])
async def test_j12_a_token_is_denied_by_its_id_its_login_or_its_user(
    replica: Client, other_replica: Client, world: World, info: Info, kind: str
) -> None:
    now = int(world.clock.now)
    ids = {"jti": "the token", "sid": "the login", "sub": "id-of-alice"}
    subject = {"jti": "the token", "family": "the login", "user": "id-of-alice"}[kind]
    world.clock.now = now + 2.5
    token = bearer(world, **ids, iat=now)
    others = bearer(world, jti="another", sid="another", sub="id-of-bob", iat=now)
    later = bearer(world, jti="new", sid="new", sub="id-of-alice", iat=now + 2)
    assert await page(replica, info, token) == 200
    await world.revoke(kind, subject)
    for client in (replica, other_replica):
        await until(401, page, client, info, token)  # a moment later, and at every replica
        assert [await page(client, info, good) for good in (others, later)] == [200, 200]


@denied
async def test_j12_a_token_in_another_spelling_is_denied_too(replica: Client, world: World, info: Info) -> None:
    """Token texts are malleable, so a denied token must not become valid again in another spelling."""
    token = bearer(world, jti="the token")
    await world.revoke("jti", "the token")
    await until(401, page, replica, info, token)
    for text in (
        token["Authorization"] + " ",
        token["Authorization"].replace("Bearer", "bearer  "),
        *(token["Authorization"] + tail for tail in ("=", "==", "A", ".")),
    ):
        assert await page(replica, info, {"Authorization": text}) == 401


@denied
async def test_s4_a_logout_counts_at_all_replicas_for_all_tokens_of_the_login(
    replica: Client, other_replica: Client, world: World, info: Info
) -> None:
    token, sibling = bearer(world, sid="the login"), bearer(world, sid="the login")
    assert await logout(replica, info, token) == 204
    assert await page(replica, info, token) == 401  # at once where it was asked for
    for client in (replica, other_replica):
        await until(401, page, client, info, token)
        await until(401, page, client, info, sibling)
    assert await logout(replica, info, token) == 204
    assert await logout(replica, info, {}) == 204
    assert await logout(replica, info, {"Authorization": "Bearer nonsense"}) == 204


@denied
async def test_a_logout_that_auth_does_not_accept_is_503(
    replica: Client, start: StartReplica, world: World, info: Info
) -> None:
    token = bearer(world)
    for refusal in (FakeAuth.problem(503, "unavailable"), FakeAuth.problem(400, "bad-request")):
        world.auth.refusal = refusal
        assert await logout(replica, info, token) == 503
    assert await page(replica, info, token) == 200


@denied
async def test_a_replica_catches_up_before_it_is_ready(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    world.valkey = own_valkey
    token, other = bearer(world, sid="the login"), bearer(world)
    await world.revoke("family", "the login")
    client = await start("a", redis_url=own_valkey.url)
    assert [await page(client, info, one) for one in (token, other)] == [401, 200]
    own_valkey.stop()
    hung = await start("b", redis_url=own_valkey.url)
    while "signing keys" in (answer := await call(hung, "GET", "/readyz"))[2]["detail"]:
        pass
    assert answer[0] == 503
    status, headers, _ = await call(hung, "GET", f"/{info.name}/mypage", other)
    assert (status, headers["Retry-After"]) == (503, "1")  # it cannot know
    own_valkey.go()

    async def ready() -> int:
        return (await call(hung, "GET", "/readyz"))[0]

    await until(200, ready)
    assert [await page(hung, info, one) for one in (token, other)] == [401, 200]


@denied
async def test_after_a_lost_connection_revocations_are_read_before_tokens_are_trusted(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the replica is cut off, for longer than it may continue without news."""
    world.valkey = own_valkey
    monkeypatch.setattr(follower, "RETRY_SECONDS", 0.02)
    client = await start("a", redis_url=own_valkey.url, denylist_max_stale_seconds=1.01)
    token, other = bearer(world, sid="the login"), bearer(world)
    assert [await page(client, info, one) for one in (token, other)] == [200, 200]
    own_valkey.stop()
    await until(503, page, client, info, other)  # the bound has passed
    assert await page(client, info, token) == 503
    revoking = asyncio.ensure_future(world.revoke("family", "the login"))
    own_valkey.go()
    seen = set()
    await revoking
    async with asyncio.timeout(5):
        while (status := await page(client, info, token)) != 401:
            seen.add(status)
    assert await page(client, info, other) == 200
    assert seen <= {503, 200}


@denied
async def test_without_news_tokens_are_trusted_for_a_while(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info
) -> None:
    client = await start("a", redis_url=own_valkey.url)
    denied, other = bearer(world, sid="the login"), bearer(world)
    world.valkey = own_valkey
    await world.revoke("family", "the login")
    await until(401, page, client, info, denied)
    own_valkey.kill()
    assert [await page(client, info, one) for one in (denied, other)] == [401, 200]


@denied
async def test_after_redis_was_emptied_earlier_tokens_are_denied(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revocations just before the loss may never have been read. Clients refresh, and the auth service knows them."""
    monkeypatch.setattr(follower, "RETRY_SECONDS", 0.02)
    world.valkey = own_valkey
    client = await start("a", redis_url=own_valkey.url)
    await world.revoke("family", "anything")
    denied, other = bearer(world, sid="anything"), bearer(world)
    await until(401, page, client, info, denied)
    own_valkey.kill()
    own_valkey.start()
    await until(401, page, client, info, other)
    world.clock.now += 1
    assert await page(client, info, bearer(world)) == 200


@denied
async def test_an_empty_stream_is_not_a_loss(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", 0.02)
    world.valkey = own_valkey
    client = await start("a", redis_url=own_valkey.url)
    token = bearer(world)
    own_valkey.kill()
    own_valkey.start()
    for _ in range(20):
        assert await page(client, info, token) == 200


@denied
async def test_dropped_entries_are_a_loss(
    start: StartReplica, world: World, own_valkey: Valkey, info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "MAX_ENTRIES", 1)
    world.valkey = own_valkey
    old = bearer(world)
    await world.revoke("family", "one")
    await world.revoke("family", "two")
    async with world.redis() as admin:
        await admin.xtrim(STREAM, maxlen=1, approximate=False)
    client = await start("a", redis_url=own_valkey.url)
    assert await page(client, info, old) == 401
    world.clock.now += 3
    assert await page(client, info, bearer(world)) == 200


@denied
async def test_malformed_entries_are_logged_and_skipped(
    replica: Client, world: World, info: Info, caplog: pytest.LogCaptureFixture
) -> None:
    token = bearer(world, sid="the login")
    async with world.redis() as client:
        for fields in ({"kind": "family"}, {"kind": "\xff", "subject": "x", "before": "x", "expires": "x"}):
            await client.xadd(STREAM, fields)  # type: ignore[arg-type]  # its types are too narrow
    await world.revoke("a kind of the future", "the login")
    await world.revoke("family", "the login")
    await until(401, page, replica, info, token)
    assert "ignoring a malformed entry" in caplog.text


@each(Kind.TOKEN, lacking=Capability.FORCED_LOGOUT)
async def test_strategies_that_ask_nobody_cannot_revoke(replica: Client, world: World, info: Info) -> None:
    """A known limit: a revoked token is valid until it expires."""
    token = bearer(world, sid="the login", sub="id-of-alice")
    await world.revoke("family", "the login")
    await world.revoke("user", "id-of-alice")
    watcher = next(other for other in denied.args[1] if Capability.FORCED_LOGOUT in other.capabilities)
    await until(401, page, replica, watcher, token)  # the news is there
    assert await page(replica, info, token) == 200


# ---- sessions


@ended
@pytest.mark.parametrize("kind", ["user", "sessions"])
async def test_s11_s12_sessions_end_with_the_account_and_with_the_password(
    replica: Client, other_replica: Client, world: World, info: Info, kind: str
) -> None:
    """A disabled account is published as `user`, a changed password as `sessions`
    (tests/contract/auth/test_devices.py).
    """
    mine, there = await world.login(replica, info), await world.login(other_replica, info)
    others = await world.login(replica, info, "bob")
    world.clock.now += 1
    await world.revoke(kind, "id-of-alice")
    await until(401, page, replica, info, mine)
    await until(401, page, other_replica, info, there)
    assert (await visit(replica, info, mine))[0] == 401
    assert await page(replica, info, others) == 200
    world.clock.now += 1
    assert await page(replica, info, await world.login(replica, info)) == 200


@ended
async def test_s11_a_session_in_flight_during_a_revocation_ends(replica: Client, world: World, info: Info) -> None:
    """The password was correct before, and the session would begin after. The times of the auth service decide."""
    watch = await world.login(replica, info)
    world.auth.late = 5.0  # it says when it looked: five seconds ago
    world.clock.now += 3
    await world.revoke("user", "id-of-alice")
    await until(401, page, replica, info, watch)
    status, headers, _ = await call(
        replica, "POST", str(info.login), json={"username": "alice", "password": "correct horse"}
    )
    assert (status, "Set-Cookie" in headers) == (401, False)
    assert await world.keys_in_redis() == []
    world.auth.late = 0.0
    world.clock.now += 1
    assert await page(replica, info, await world.login(replica, info)) == 200


@ended
async def test_s11_ending_a_family_ends_no_session(replica: Client, world: World, info: Info) -> None:
    login = await world.login(replica, info)
    await world.revoke("family", "id-of-alice")
    other = await world.login(replica, info, "bob")
    world.clock.now += 1
    await world.revoke("user", "id-of-bob")
    await until(401, page, replica, info, other)
    assert await page(replica, info, login) == 200


async def test_s11_a_revocation_that_could_not_be_carried_out_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", 0.02)
    asked: list[str] = []
    done = asyncio.Event()

    async def end(user_id: str, until: float) -> None:
        assert until == world.clock.now
        asked.append(user_id)
        if len(asked) < 3:
            raise Unavailable("The store does not answer.")
        done.set()

    async with follow(world, end):
        await world.revoke("user", "id-of-alice")
        async with asyncio.timeout(5):
            await done.wait()
    assert asked == ["id-of-alice"] * 3


async def test_the_denylist_is_bounded_by_what_can_still_be_valid(world: World) -> None:
    async with follow(world) as following, asyncio.timeout(5):
        await world.revoke("family", "old")
        await world.revoke("user", "old")
        while len(following.denylist) < 2:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
        world.clock.now += 4001
        while len(following.denylist):  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
