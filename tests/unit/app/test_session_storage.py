"""Sessions under races and time, with a store whose timing the test decides."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.app.sessions.cookie import SessionCookie
from services.app.sessions.key import SessionKey, key_of
from services.app.sessions.memory_store import MemorySessionStore
from services.app.sessions.state import SessionLifetimes, SessionState
from services.app.sessions.storage import SessionStorage
from services.app.strategy import User
from services.common.devices import Device, LoginLimit
from services.common.http.problems import Unavailable
from tests.support.clock import ManualClock

ALICE = User("1", "alice", ("user",))
COOKIE = SessionCookie("s", "[A-Za-z0-9_-]{65}", secure=True)


class Interrupted(MemorySessionStore):
    """A store that lets something happen between a request's read and its write."""

    before_replace: Callable[[], Awaitable[Any]] | None = None

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        if self.before_replace:
            interruption, self.before_replace = self.before_replace, None
            await interruption()
        return await super().replace(key, old, new, ttl)


class Bench:
    def __init__(self, limit: int = 10_000, remembered: int = 0) -> None:
        self.clock = ManualClock()
        self.store = Interrupted(limit, self.clock)
        self.storage = SessionStorage(
            self.store, SessionLifetimes(600, 3600), LoginLimit(10_000, "deny"), COOKIE, self.clock, remembered
        )

    async def login(self, user: User = ALICE) -> str:
        response = web.Response()
        session = await self.storage.new_session()
        session.update({"user": user, "device": Device(), "created": self.clock.now})
        await self.storage.save_session(self.request(""), response, session)
        return response.cookies["__Host-s"].value

    def request(self, cookie: str) -> web.Request:
        return make_mocked_request("GET", "/", {"Cookie": f"__Host-s={cookie}"})

    async def save(self, cookie: str, **values: Any) -> None:
        """Do what a request that sets *values* in its session does."""
        session = await self.storage.load_session(self.request(cookie))
        session.update(values)
        await self.storage.save_session(self.request(cookie), web.Response(), session)

    async def values(self, cookie: str) -> dict[str, Any]:
        return dict(await self.storage.load_session(self.request(cookie)))

    async def change(self, cookie: str) -> SessionState | None:
        return await self.storage.change(self.request(cookie), plus_one)

    async def end(self, cookie: str) -> None:
        await self.store.delete(key_of(cookie))


def plus_one(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"visits": values.get("visits", 0) + 1}


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_s1_ids_differ_and_have_256_bits(bench: Bench) -> None:
    ids = {await bench.login() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}[A-Za-z0-9_-]{43}", one) for one in ids)
    assert len({one[22:] for one in ids}) == 1_000


async def test_s5_a_change_in_flight_does_not_revive_a_session(bench: Bench) -> None:
    cookie = await bench.login()
    bench.store.before_replace = lambda: bench.end(cookie)
    assert await bench.change(cookie) is None
    assert len(bench.store) == 0


async def test_s5_a_save_or_a_touch_in_flight_does_not_revive_a_session(bench: Bench) -> None:
    cookie = await bench.login()
    bench.store.before_replace = lambda: bench.end(cookie)
    await bench.save(cookie, colour="red")
    assert len(bench.store) == 0
    cookie = await bench.login()
    bench.clock.now += 100
    bench.store.before_replace = lambda: bench.end(cookie)
    await bench.values(cookie)
    assert len(bench.store) == 0


async def test_s16_two_concurrent_writes_both_count(bench: Bench) -> None:
    cookie = await bench.login()
    bench.store.before_replace = lambda: bench.change(cookie)
    state = await bench.change(cookie)
    assert state
    assert state.values == {"visits": 2}


async def test_a_change_in_place_that_is_not_saved_affects_nobody(bench: Bench) -> None:
    cookie = await bench.login()
    await bench.save(cookie, basket=["apple"])
    session = await bench.storage.load_session(bench.request(cookie))
    session["basket"].append("worm")
    assert (await bench.values(cookie))["basket"] == ["apple"]
    await bench.storage.save_session(bench.request(cookie), web.Response(), session)
    assert (await bench.values(cookie))["basket"] == ["apple", "worm"]


async def test_s16_concurrent_saves_of_different_keys_both_survive(bench: Bench) -> None:
    cookie = await bench.login()
    bench.store.before_replace = lambda: bench.save(cookie, colour="red")
    await bench.save(cookie, size=7)
    values = await bench.values(cookie)
    assert (values["colour"], values["size"], values["user"]) == ("red", 7, ALICE)


async def test_s6_a_use_is_recorded_at_most_every_sixtieth_of_the_idle_timeout(bench: Bench) -> None:
    cookie = await bench.login()
    first = await bench.store.read(key_of(cookie))
    bench.clock.now += 9
    await bench.values(cookie)
    assert await bench.store.read(key_of(cookie)) is first
    bench.clock.now += 1
    await bench.values(cookie)
    assert await bench.store.read(key_of(cookie)) != first


async def test_s6_a_use_that_cannot_be_recorded_is_answered_all_the_same(bench: Bench) -> None:
    cookie = await bench.login()

    async def full() -> None:
        raise Unavailable("full")

    bench.clock.now += 100
    bench.store.before_replace = full
    assert (await bench.values(cookie))["user"] == ALICE
    bench.store.before_replace = full
    with pytest.raises(Unavailable):  # unlike a write
        await bench.change(cookie)


async def test_memory_forgets_expired_sessions_without_being_asked(bench: Bench) -> None:
    old = await bench.login()
    bench.clock.now += 500
    young = await bench.login(User("2", "bob"))
    bench.clock.now += 101
    sweeper = bench.store.swept(web.Application(), every=0)
    await anext(sweeper)
    async with asyncio.timeout(5):
        while await bench.store.read(key_of(old)):  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)
    assert await bench.store.read(key_of(young))
    assert len(bench.store._ids) == len(bench.store) == 1  # nor is it remembered whose they were
    assert [one async for one in sweeper] == []


async def test_memory_is_bounded_and_ends_the_session_unused_for_longest() -> None:
    bench = Bench(limit=3)
    first, second, third = [await bench.login(User(name, name)) for name in "abc"]
    bench.clock.now += 60
    assert await bench.values(first)
    fourth = await bench.login()
    assert len(bench.store) == 3
    assert [bool(await bench.values(one)) for one in (first, second, third, fourth)] == [True, False, True, True]


@pytest.mark.parametrize("cookie", ["", "x", "A" * 64, "A" * 66, "A" * 64 + "\n", "É" * 65, '"' + "A" * 65 + '"'])
async def test_s17_malformed_cookies_are_not_looked_up(bench: Bench, cookie: str) -> None:
    assert COOKIE.candidates(bench.request(cookie)) == []


@pytest.mark.parametrize(
    "header",
    [
        "__Host-s={}",
        "a=b; __Host-s={}; c=d",
        "a=b;__Host-s={}",
        "__Host-s={};",
        "x__Host-s=no; __Host-s={}",
        "a; __Host-s={}",
    ],
)
async def test_the_cookie_is_found_among_others(header: str) -> None:
    request = make_mocked_request("GET", "/", {"Cookie": header.format("A" * 65)})
    assert COOKIE.candidates(request) == ["A" * 65]


async def test_a_cookie_whose_name_merely_ends_the_same_is_ignored() -> None:
    for header in ("x__Host-s={}", "a=__Host-s={}", "__Host-s2={}"):
        request = make_mocked_request("GET", "/", {"Cookie": header.format("A" * 65)})
        assert COOKIE.candidates(request) == []


async def test_what_is_remembered_counts_only_as_long_as_the_store_has_the_same_bytes() -> None:
    bench = Bench(remembered=10)
    cookie = await bench.login()
    first, again = [await bench.storage.find(bench.request(cookie)) for _ in range(2)]
    assert first is again is not None
    await bench.save(cookie, colour="red")
    assert (await bench.values(cookie))["colour"] == "red"
    await bench.end(cookie)
    assert await bench.storage.find(bench.request(cookie)) is None


async def test_a_remembered_session_expires() -> None:
    bench = Bench(remembered=10)
    cookie = await bench.login()
    assert await bench.values(cookie)
    bench.clock.now += 601
    assert await bench.values(cookie) == {}


@pytest.mark.parametrize("remembered", [0, 3])
async def test_no_more_is_remembered_than_is_allowed(remembered: int) -> None:
    bench = Bench(remembered=remembered)
    cookies = [await bench.login(User(name, name)) for name in "abcdef"]
    for cookie in cookies * 2:
        assert await bench.values(cookie)
    assert len(bench.storage._known) == remembered
