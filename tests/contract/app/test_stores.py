"""What every `SessionStore` of sessions promises: one suite for memory, Redis, and Redis with a near-cache."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from services.app.redis_link.link import RedisLink
from services.app.sessions.key import SessionKey
from services.app.sessions.memory_store import MemorySessionStore
from services.app.sessions.near_cache import TRUST_SECONDS, CachedSessionStore, NearCache
from services.app.sessions.redis_store import RedisSessionStore
from services.app.sessions.state import SessionLifetimes, encode
from services.app.sessions.store import SessionStore
from services.app.strategy import User
from services.common.devices import Device, LoginLimit
from services.common.redis_client import open_redis
from tests.support.clock import ManualClock
from tests.support.servers.app import World, cut, trackers
from tests.support.servers.valkey import REDIS_PASSWORD, Valkey

IDLE, ABSOLUTE = 600, 3600
ALICE, BOB = "alice" + "A" * 17, "bob" + "B" * 19
MANY = LoginLimit(100, "deny")


class Bench:
    """A store, and what it takes to put sessions into it."""

    def __init__(self, store: SessionStore, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.count = 0

    def raw(self, owner: str = ALICE, visits: int = 0) -> bytes:
        user, now = User(owner, "somebody"), self.clock()
        return encode(SessionLifetimes(IDLE, ABSOLUTE).begun(user, Device(), now, now, {"visits": visits}))

    async def begin(
        self, owner: str = ALICE, limit: LoginLimit = MANY, tick: float = 1
    ) -> tuple[SessionKey, bytes] | None:
        """Begin a session, then move the clock by *tick* seconds, so that the next session is younger."""
        self.count += 1
        self.clock.now += tick
        key, raw = SessionKey(owner, self.count.to_bytes(16)), self.raw(owner)
        return (key, raw) if await self.store.create(key, raw, IDLE, limit) else None

    async def must_begin(self, owner: str = ALICE, limit: LoginLimit = MANY) -> tuple[SessionKey, bytes]:
        begun = await self.begin(owner, limit)
        assert begun
        return begun


@asynccontextmanager
async def linked(valkey: Valkey, *, tracking: bool = False) -> AsyncIterator[RedisLink]:
    link = RedisLink(valkey.url, REDIS_PASSWORD, tracking=tracking)
    life = link.kept(web.Application())
    await anext(life)
    assert link.up
    yield link
    async for _ in life:
        raise AssertionError


@pytest.fixture(params=["memory", "redis", "redis-cached"])
async def bench(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield Bench(MemorySessionStore(1000, world.clock), world.clock)
        return
    async with (
        open_redis(world.valkey.url, REDIS_PASSWORD) as redis,
        linked(world.valkey) as link,
        linked(world.valkey, tracking=True) as tracking,
    ):
        sessions = RedisSessionStore(redis, link, "test:", world.clock)
        cache = NearCache(tracking, 100)
        tracking.on_push, tracking.on_lost = cache.changed, cache.clear
        cached = CachedSessionStore(sessions, tracking, cache)
        yield Bench(cached if request.param == "redis-cached" else sessions, world.clock)


async def test_only_what_was_created_can_be_read(bench: Bench) -> None:
    key, raw = await bench.must_begin()
    for _ in range(2):
        assert await bench.store.read(key) == raw
        assert await bench.store.read(SessionKey(key.owner, b"x" * 16)) is None
        assert await bench.store.read(SessionKey("x" * 22, key.id)) in (None, raw)  # an id names its owner


async def test_s4_a_deleted_session_is_gone(bench: Bench, world: World) -> None:
    key, _ = await bench.must_begin()
    assert await bench.store.read(key)
    assert await bench.store.delete(key)
    assert await bench.store.read(key) is None
    assert await bench.store.all_of(ALICE) == {}
    assert not await bench.store.delete(key)
    assert await world.keys_in_redis() == []


async def test_s5_s16_a_write_replaces_only_what_was_read(bench: Bench) -> None:
    key, first = await bench.must_begin()
    second, third = bench.raw(visits=1), bench.raw(visits=2)
    assert await bench.store.replace(key, first, second, IDLE)
    assert not await bench.store.replace(key, first, third, IDLE)  # S16: there was another write in between
    assert await bench.store.read(key) == second
    await bench.store.delete(key)
    assert not await bench.store.replace(key, second, third, IDLE)  # S5: it was ended in between
    assert await bench.store.read(key) is None


async def test_s13_only_the_users_own_sessions_are_listed(bench: Bench) -> None:
    mine = dict([await bench.must_begin(), await bench.must_begin()])
    await bench.must_begin(BOB)
    assert await bench.store.all_of(ALICE) == {key.id: raw for key, raw in mine.items()}
    assert await bench.store.all_of("x" * 22) == {}


async def test_s13_all_of_a_users_sessions_but_one_are_ended(bench: Bench) -> None:
    (first, _), (second, _), (third, _) = [await bench.must_begin() for _ in range(3)]
    other, _ = await bench.must_begin(BOB)
    for key in (first, second, third, other):
        assert await bench.store.read(key)
    assert await bench.store.end_all(ALICE, keep=second.id) == 2
    assert [bool(await bench.store.read(key)) for key in (first, second, third, other)] == [False, True, False, True]
    assert await bench.store.end_all(ALICE) == 1
    assert await bench.store.end_all(ALICE) == 0


async def test_s11_only_sessions_that_had_begun_are_ended(bench: Bench) -> None:
    old, _ = await bench.must_begin()
    until = bench.clock()
    young, _ = await bench.must_begin()
    assert await bench.store.end_all(ALICE, until=until - 0.01) == 0
    assert await bench.store.end_all(ALICE, until=until + 0.01) == 1
    assert [bool(await bench.store.read(key)) for key in (old, young)] == [False, True]


async def test_expired_sessions_are_not_counted_as_ended(bench: Bench) -> None:
    await bench.must_begin()
    bench.clock.now += IDLE - 2
    await bench.must_begin()
    bench.clock.now += 3
    assert await bench.store.end_all(ALICE) == 1


@pytest.mark.parametrize("most", [1, 3])
async def test_a_limit_denies_one_login_more(bench: Bench, most: int) -> None:
    limit = LoginLimit(most, "deny")
    begun = [await bench.must_begin(limit=limit) for _ in range(most)]
    assert await bench.begin(limit=limit) is None
    assert await bench.begin(BOB, limit)
    await bench.store.delete(begun[0][0])
    assert await bench.begin(limit=limit)


async def test_a_limit_does_not_count_expired_sessions(bench: Bench) -> None:
    limit = LoginLimit(1, "deny")
    await bench.must_begin(limit=limit)
    bench.clock.now += IDLE + 1
    assert await bench.begin(limit=limit)
    assert len(await bench.store.all_of(ALICE)) == 1


async def test_a_limit_ends_the_session_unused_for_longest(bench: Bench) -> None:
    limit = LoginLimit(3, "end-oldest")
    (first, raw), (second, _), (third, _) = [await bench.must_begin(limit=limit) for _ in range(3)]
    bench.clock.now += 1
    assert await bench.store.replace(first, raw, bench.raw(), IDLE)  # a use
    fourth, _ = await bench.must_begin(limit=limit)
    alive = [bool(await bench.store.read(key)) for key in (first, second, third, fourth)]
    assert alive == [True, False, True, True]


async def test_a_lowered_limit_ends_as_many_sessions_as_needed(bench: Bench) -> None:
    for _ in range(5):
        await bench.must_begin()
    last, _ = await bench.must_begin(limit=LoginLimit(2, "end-oldest"))
    assert len(await bench.store.all_of(ALICE)) == 2
    assert last.id in await bench.store.all_of(ALICE)


@pytest.mark.parametrize("policy", ["deny", "end-oldest"])
async def test_a_limit_holds_for_concurrent_logins(bench: Bench, policy: str) -> None:
    limit = LoginLimit(4, "deny" if policy == "deny" else "end-oldest")
    begun = await asyncio.gather(*(bench.begin(limit=limit, tick=0) for _ in range(12)))
    assert len(await bench.store.all_of(ALICE)) == 4
    assert len([one for one in begun if one]) == (4 if policy == "deny" else 12)


async def test_redis_drops_a_user_when_their_last_session_expires(world: World) -> None:
    async with open_redis(world.valkey.url, REDIS_PASSWORD) as redis, linked(world.valkey) as link:
        store = RedisSessionStore(redis, link, "test:", world.clock)
        bench = Bench(store, world.clock)
        first, second = SessionKey(ALICE, b"1" * 16), SessionKey(ALICE, b"2" * 16)
        await store.create(first, bench.raw(), 100, MANY)
        await store.create(second, bench.raw(), 50, MANY)
        assert 99_000 < await redis.pttl("test:" + ALICE) <= 100_000  # not as soon as the second one
        await store.replace(second, bench.raw(), bench.raw(visits=1), 200)
        assert 199_000 < await redis.pttl("test:" + ALICE) <= 200_000


Change = Callable[[RedisSessionStore, SessionKey, bytes, bytes], object]


async def test_a_near_cache_reads_a_session_once(world: World) -> None:
    async with cached(world) as (store, sessions, cache, key, raw):
        assert [await store.read(key) for _ in range(3)] == [raw] * 3
        assert await commands(world, "hget") == 1
        assert len(cache) == 1
        await sessions.delete(key)
        await soon(store, key, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda sessions, key, old, new: sessions.replace(key, old, new, IDLE),
        lambda sessions, key, old, new: sessions.delete(key),
        lambda sessions, key, old, new: sessions.end_all(key.owner),
    ],
    ids=["replace", "delete", "end_all"],
)
async def test_another_replicas_write_is_seen_soon(world: World, change: Change) -> None:
    async with cached(world) as (store, sessions, _, key, raw):
        assert await store.read(key) == raw
        await change(sessions, key, raw, raw + b" ")  # type: ignore[misc]
        now = await sessions.read(key)
        assert now != raw
        await soon(store, key, now)


@pytest.mark.parametrize("name", ["replace", "delete", "end_all", "create"])
async def test_a_replica_sees_its_own_writes_at_once(world: World, name: str) -> None:
    async with cached(world) as (store, _, cache, key, raw):
        assert await store.read(key) == raw
        store._link.on_push = lambda _: None  # Redis is late to announce it
        writes: dict[str, Callable[[], Awaitable[object]]] = {
            "replace": lambda: store.replace(key, raw, raw + b" ", IDLE),
            "delete": lambda: store.delete(key),
            "end_all": lambda: store.end_all(key.owner),
            "create": lambda: store.create(SessionKey(key.owner, b"y" * 16), raw, IDLE, LoginLimit(1, "end-oldest")),
        }
        await writes[name]()
        assert not cache
        assert await store.read(key) == (raw + b" " if name == "replace" else None)


async def test_expired_keys_are_forgotten_too(world: World) -> None:
    async with cached(world) as (store, _, _, key, raw):
        assert await store.read(key) == raw
        async with world.redis() as admin:
            await admin.flushdb()
        await soon(store, key, None)


async def test_without_the_tracking_link_look_ups_are_plain_until_it_is_back(world: World) -> None:
    async with cached(world) as (store, sessions, cache, key, raw):
        assert await store.read(key) == raw
        await cut(world, await trackers(world))
        while cache:  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)
        new = raw + b" "
        assert await sessions.replace(key, raw, new, IDLE)
        before = await commands(world, "hget")
        assert [await store.read(key) for _ in range(3)] == [new] * 3
        assert await commands(world, "hget") > before
        async with asyncio.timeout(5):
            while not cache:
                await store.read(key)
                await asyncio.sleep(0.01)
        assert await sessions.replace(key, new, raw, IDLE)
        await soon(store, key, raw)


async def test_after_a_second_of_silence_nothing_remembered_counts(world: World) -> None:
    """The documented limit, without waiting for it: the last sign of life is made to look older."""
    async with cached(world) as (store, sessions, cache, key, raw):
        assert await store.read(key) == raw
        user = sessions.key(key.owner)
        assert cache.get(user, key.id) == raw
        connection = store._link._connection
        assert connection
        connection._confirmed_at = asyncio.get_running_loop().time() - 0.99
        assert cache.get(user, key.id) == raw
        connection._confirmed_at -= 0.02
        assert cache.get(user, key.id) is None


async def test_an_answer_overtaken_by_a_change_is_not_remembered(world: World) -> None:
    async with cached(world) as (_, _, cache, _, raw):
        cache.keep("test:u", b"s", raw)
        assert cache.get("test:u", b"s") == raw
        cache.changed([b"invalidate", [b"test:u"]])
        assert cache.get("test:u", b"s") is None
        cache.keep("test:u", b"s", None)
        cache.keep("test:u", b"s", ValueError())
        assert not cache
        cache.keep("test:u", b"s", raw)
        cache.changed([b"something else", [b"test:u"]])
        assert cache.get("test:u", b"s") == raw
        cache.changed([b"invalidate", None])
        assert not cache


async def test_a_near_cache_is_bounded(world: World) -> None:
    async with cached(world, limit=3) as (store, sessions, cache, _, raw):
        for number in range(5):
            key = SessionKey(f"{number:022}", b"s" * 16)
            await sessions.create(key, raw, IDLE, MANY)
            assert await store.read(key) == raw
            assert len(cache) <= 3


@asynccontextmanager
async def cached(
    world: World, limit: int = 100
) -> AsyncIterator[tuple[CachedSessionStore, RedisSessionStore, NearCache, SessionKey, bytes]]:
    """Yield a cached store, a plain store of another replica with the same sessions, the cache, and a session in it."""
    async with (
        open_redis(world.valkey.url, REDIS_PASSWORD) as redis,
        linked(world.valkey) as link,
        linked(world.valkey, tracking=True) as tracking,
    ):
        sessions = RedisSessionStore(redis, link, "test:", world.clock)
        cache = NearCache(tracking, limit)
        tracking.on_push, tracking.on_lost = cache.changed, cache.clear
        async with world.redis() as admin:
            await admin.config_resetstat()
        key, raw = await Bench(sessions, world.clock).must_begin()
        yield CachedSessionStore(sessions, tracking, cache), sessions, cache, key, raw


async def soon(store: SessionStore, key: SessionKey, raw: bytes | None, seconds: float = TRUST_SECONDS) -> None:
    """Return once the session is read as *raw*: within the documented limit, usually within a millisecond."""
    async with asyncio.timeout(seconds):
        while await store.read(key) != raw:  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)


async def commands(world: World, name: str) -> int:
    async with world.redis() as admin:
        stats = await admin.info("commandstats")
    return int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"])
