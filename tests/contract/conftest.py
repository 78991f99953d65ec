"""What a replica needs in the contract suite: a real Valkey, a small auth service, a clock that tests set."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.app.redis_link import connection as redis_connection
from services.app.redis_link import link as redis_link
from services.app.sessions import redis_store
from services.common import redis_client
from services.common.http.connections import MAX_HEADER_BYTES
from tests.support.clock import ManualClock
from tests.support.openapi import Recorder
from tests.support.servers.app import PRIVATE_KEY, Client, FakeAuth, StartReplica, World
from tests.support.servers.valkey import Valkey, run_valkey


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    with run_valkey() as valkey:
        yield valkey


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey that the test may kill."""
    with run_valkey() as valkey:
        yield valkey


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for the shared Redis, which no test breaks, so that a stalled machine does not fail a test.

    Tests that break a Redis have one of their own, with the real time limit.
    """
    if not {"own_valkey", "frail_valkey"} & set(request.fixturenames):
        for module in (redis_client, redis_connection, redis_link, redis_store):
            monkeypatch.setattr(module, "TIMEOUT_SECONDS", 10.0)


@pytest.fixture
async def world(shared_valkey: Valkey) -> AsyncIterator[World]:
    clock = ManualClock(time.time())  # Redis has a clock of its own
    auth = FakeAuth(clock, PRIVATE_KEY)
    async with TestServer(auth.application()) as server:
        world = World(clock, auth, str(server.make_url("")).rstrip("/"), shared_valkey)
        async with world.redis() as client:
            await client.flushdb()
        yield world


@pytest.fixture
async def start(world: World, answers: Recorder) -> AsyncIterator[StartReplica]:
    """Start replicas: `await start("a", SETTING=value)`."""
    clients: list[Client] = []

    async def start_one(replica: str = "a", **changes: Any) -> Client:
        app = world.replica(replica, **changes)
        answers.watch(app)
        server = TestServer(app)
        await server.start_server(max_line_size=MAX_HEADER_BYTES, max_field_size=MAX_HEADER_BYTES)
        client: Client = TestClient(server, cookie_jar=aiohttp.DummyCookieJar())
        clients.append(client)
        return client

    yield start_one
    await asyncio.gather(*(client.close() for client in clients))


@pytest.fixture
async def replica(start: StartReplica) -> Client:
    return await start("a")


@pytest.fixture
async def other_replica(start: StartReplica) -> Client:
    return await start("b")
