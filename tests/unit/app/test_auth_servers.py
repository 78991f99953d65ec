"""Which auth process a replica asks, and when it asks another one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from services.app.auth_client.servers import LEFT_OUT_SECONDS, AuthServers
from services.common.settings import CommonSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
A, B, C = "http://a:1", "http://b:1", "http://c:1"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(*bases: str, clock: Clock | None = None) -> AsyncIterator[AuthServers]:
    servers = AuthServers(bases, clock=clock or Clock())
    opening = servers.opened(web.Application())
    await anext(opening)
    yield servers
    await anext(opening, None)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/question", handler)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


def gone() -> str:
    return f"http://127.0.0.1:{unused_port()}"


async def yes(request: web.Request) -> web.Response:
    return web.Response(text="yes")


async def hang_up(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


def test_each_is_asked_in_turn() -> None:
    servers = AuthServers([f"{A}/", B, C])
    assert [servers.in_turn()[0] for _ in range(4)] == [A, B, C, A]
    assert sorted(servers.in_turn()) == [A, B, C]


async def test_one_that_is_gone_costs_no_answer_and_is_left_out_for_a_while() -> None:
    clock, dead = Clock(), gone()
    async with serving(yes) as alive, opened(dead, alive, clock=clock) as servers:
        answer = await servers.ask("POST", "/question", seconds=5)
        assert (answer.status, answer.body) == (200, b"yes")
        assert {servers.in_turn()[0] for _ in range(4)} == {alive.rstrip("/")}
        clock.now += LEFT_OUT_SECONDS + 0.1
        assert {servers.in_turn()[0] for _ in range(4)} == {alive.rstrip("/"), dead}


async def test_a_connection_that_breaks_moves_the_question_on() -> None:
    async with serving(hang_up) as breaking, serving(yes) as alive, opened(breaking, alive) as servers:
        assert (await servers.ask("POST", "/question", seconds=5)).body == b"yes"


async def test_a_connection_that_the_only_server_closes_under_a_question_is_not_the_last_word() -> None:
    """A kept connection may close at any time. The first question is answered; the second finds it closing."""
    first: asyncio.Transport | None = None

    async def hang_up_on_the_second(request: web.Request) -> web.Response:
        nonlocal first
        if first and request.transport is first:
            first.abort()
        first = first or request.transport
        return web.Response(text="yes")

    async with serving(hang_up_on_the_second) as url, opened(url) as servers:
        assert [(await servers.ask("POST", "/question", seconds=5)).body for _ in range(2)] == [b"yes", b"yes"]


async def test_a_server_that_always_hangs_up_is_asked_twice_at_most() -> None:
    asked = 0

    async def count_and_hang_up(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await hang_up(request)

    async with serving(count_and_hang_up) as url, opened(url) as servers:
        with pytest.raises(aiohttp.ClientConnectionError):
            await servers.ask("POST", "/question", seconds=5)
    assert asked == 2


async def test_a_connection_is_kept_for_less_time_than_a_server_takes_to_stop() -> None:
    """It closes what is idle when it stops: no question may be on its way then."""
    async with opened(A) as servers:
        assert servers._http
        assert servers._http.connector
        drain_seconds = CommonSettings.model_fields["drain_seconds"].default
        assert servers._http.connector._keepalive_timeout < drain_seconds


async def test_an_answer_is_an_answer_whatever_it_says() -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "3"})

    async with serving(busy) as first, serving(yes) as second, opened(first, second) as servers:
        answer = await servers.ask("POST", "/question", seconds=5)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "3")


async def test_all_gone_is_an_error_and_then_they_are_still_asked() -> None:
    async with opened(gone(), gone()) as servers:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectionError):
                await servers.ask("GET", "/question", seconds=5)
        assert len(servers.in_turn()) == 2


async def test_what_is_fetched_is_a_200_or_an_error() -> None:
    async with serving(yes) as alive, opened(alive) as servers:
        assert await servers.fetch("/question", seconds=5) == b"yes"
        with pytest.raises(aiohttp.ClientError, match="404"):
            await servers.fetch("/nothing", seconds=5)
