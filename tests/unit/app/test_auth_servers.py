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
from tests.support.clock import ManualClock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
A, B, C = "http://a:1", "http://b:1", "http://c:1"


@asynccontextmanager
async def opened(*bases: str, clock: ManualClock | None = None) -> AsyncIterator[AuthServers]:
    servers = AuthServers(bases, clock=clock or ManualClock())
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


def test_servers_are_asked_in_turn() -> None:
    servers = AuthServers([f"{A}/", B, C])
    assert [servers.in_turn()[0] for _ in range(4)] == [A, B, C, A]
    assert sorted(servers.in_turn()) == [A, B, C]


async def test_a_server_that_is_gone_costs_no_answer_and_is_skipped_for_a_while() -> None:
    clock, dead = ManualClock(), gone()
    async with serving(yes) as alive, opened(dead, alive, clock=clock) as servers:
        answer = await servers.ask("POST", "/question", seconds=5)
        assert (answer.status, answer.body) == (200, b"yes")
        assert {servers.in_turn()[0] for _ in range(4)} == {alive.rstrip("/")}
        clock.now += LEFT_OUT_SECONDS + 0.1
        assert {servers.in_turn()[0] for _ in range(4)} == {alive.rstrip("/"), dead}


async def test_when_a_connection_breaks_the_next_server_is_asked() -> None:
    async with serving(hang_up) as breaking, serving(yes) as alive, opened(breaking, alive) as servers:
        assert (await servers.ask("POST", "/question", seconds=5)).body == b"yes"


async def test_a_request_is_repeated_when_the_only_server_closes_its_connection() -> None:
    """A kept-alive connection may close at any time. The first request is answered, the second meets a closing one."""
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


async def test_connections_are_kept_for_less_time_than_a_server_takes_to_stop() -> None:
    """A stopping server closes idle connections, so no request may be on its way on one."""
    async with opened(A) as servers:
        assert servers._http
        assert servers._http.connector
        drain_seconds = CommonSettings.model_fields["drain_seconds"].default
        assert servers._http.connector._keepalive_timeout < drain_seconds


async def test_any_answer_is_final_whatever_its_status() -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "3"})

    async with serving(busy) as first, serving(yes) as second, opened(first, second) as servers:
        answer = await servers.ask("POST", "/question", seconds=5)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "3")


async def test_if_all_servers_are_gone_it_is_an_error_and_they_are_still_asked_next_time() -> None:
    async with opened(gone(), gone()) as servers:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectionError):
                await servers.ask("GET", "/question", seconds=5)
        assert len(servers.in_turn()) == 2


async def test_a_fetch_returns_a_200_or_raises() -> None:
    async with serving(yes) as alive, opened(alive) as servers:
        assert await servers.fetch("/question", seconds=5) == b"yes"
        with pytest.raises(aiohttp.ClientError, match="404"):
            await servers.fetch("/nothing", seconds=5)
