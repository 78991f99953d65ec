"""Sessions under races and time, with a store whose timing the test decides."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.app.session_storage import IDENTITY, Lifetimes, SessionStorage, State
from services.app.strategies.memory import MemorySessions
from services.app.strategy import User

ALICE = User("1", "alice", ("user",))


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


class Interrupted(MemorySessions):
    """Lets something happen between a request's read and its write."""

    before_replace: Callable[[], Awaitable[Any]] | None = None

    async def replace(self, identity: str, old: State, new: State, ttl: float) -> bool:
        if self.before_replace:
            interruption, self.before_replace = self.before_replace, None
            await interruption()
        return await super().replace(identity, old, new, ttl)


class Bench:
    def __init__(self, limit: int = 100) -> None:
        self.clock = Clock()
        self.store = Interrupted(limit, self.clock)
        self.storage = SessionStorage(self.store, Lifetimes(600, 3600), cookie_name="s", secure=True, clock=self.clock)

    async def login(self) -> str:
        response = web.Response()
        session = await self.storage.new_session()
        session["user"] = ALICE
        await self.storage.save_session(self.request(""), response, session)
        return response.cookies["__Host-s"].value

    def request(self, identity: str) -> web.Request:
        return make_mocked_request("GET", "/", {"Cookie": f"__Host-s={identity}"})

    async def save(self, identity: str, **values: Any) -> None:
        """Do what a request does that sets *values* in its session."""
        session = await self.storage.load_session(self.request(identity))
        session.update(values)
        await self.storage.save_session(self.request(identity), web.Response(), session)

    async def values(self, identity: str) -> dict[str, Any]:
        return dict(await self.storage.load_session(self.request(identity)))


def plus(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda values: values | {name: values.get(name, 0) + 1}


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_s1_ids_differ_and_have_256_bits(bench: Bench) -> None:
    ids = {await bench.login() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(IDENTITY.fullmatch(one) for one in ids)


async def test_s5_a_change_in_flight_does_not_bring_a_session_back(bench: Bench) -> None:
    identity = await bench.login()
    bench.store.before_replace = lambda: bench.store.delete(identity)
    assert await bench.storage.change(identity, plus("visits")) is None
    assert len(bench.store) == 0


async def test_s5_a_save_or_a_touch_in_flight_does_not_either(bench: Bench) -> None:
    identity = await bench.login()
    bench.store.before_replace = lambda: bench.store.delete(identity)
    await bench.save(identity, colour="red")
    assert len(bench.store) == 0
    identity = await bench.login()
    bench.clock.now += 100
    bench.store.before_replace = lambda: bench.store.delete(identity)
    await bench.values(identity)
    assert len(bench.store) == 0


async def test_s16_two_writes_at_once_both_count(bench: Bench) -> None:
    identity = await bench.login()
    bench.store.before_replace = lambda: bench.storage.change(identity, plus("visits"))
    assert await bench.storage.change(identity, plus("visits")) == {"visits": 2}


async def test_s16_saves_of_different_keys_at_once_both_survive(bench: Bench) -> None:
    identity = await bench.login()
    bench.store.before_replace = lambda: bench.save(identity, colour="red")
    await bench.save(identity, size=7)
    assert await bench.values(identity) == {"user": ALICE, "colour": "red", "size": 7}


async def test_s6_a_use_is_noted_at_most_every_sixtieth_of_the_idle_time(bench: Bench) -> None:
    identity = await bench.login()
    first = await bench.store.read(identity)
    bench.clock.now += 9
    await bench.values(identity)
    assert await bench.store.read(identity) is first
    bench.clock.now += 1
    await bench.values(identity)
    assert await bench.store.read(identity) is not first


async def test_memory_forgets_expired_sessions_without_being_asked(bench: Bench) -> None:
    old = await bench.login()
    bench.clock.now += 500
    young = await bench.login()
    bench.clock.now += 101
    sweeper = bench.store.swept(web.Application(), every=0)
    await anext(sweeper)
    async with asyncio.timeout(5):
        while await bench.store.read(old):  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0)
    assert await bench.store.read(young)
    assert [one async for one in sweeper] == []


async def test_memory_is_bounded_and_ends_the_session_unused_for_longest() -> None:
    bench = Bench(limit=3)
    first, second, third = [await bench.login() for _ in range(3)]
    bench.clock.now += 60
    assert await bench.values(first)
    fourth = await bench.login()
    assert len(bench.store) == 3
    assert [bool(await bench.values(one)) for one in (first, second, third, fourth)] == [True, False, True, True]


@pytest.mark.parametrize("identity", ["", "x", "A" * 42, "A" * 44, "A" * 42 + "\n", "É" * 43])
async def test_s17_ids_of_another_form_are_not_looked_up(bench: Bench, identity: str) -> None:
    request = make_mocked_request("GET", "/", {"Cookie": f"__Host-s={identity}"})
    assert bench.storage.identity(request) is None
