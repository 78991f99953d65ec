"""A replica's surroundings for the contract suite: a real Valkey, a small auth service, replicas, a clock to set."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.app.application import create_app
from services.app.redis_link import connection as redis_connection
from services.app.redis_link import link as redis_link
from services.app.sessions import redis_store
from services.common import redis_client
from services.common.http.connections import MAX_HEADER_BYTES
from tests.support.openapi import Recorder
from tests.support.servers.app import PRIVATE_KEY, Client, Clock, FakeAuth, StartReplica, Valkey, World


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    valkey = Valkey(tmp_path_factory.mktemp("valkey"))
    valkey.start()
    yield valkey
    valkey.kill()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """One that the test may kill."""
    valkey = Valkey(tmp_path)
    valkey.start()
    yield valkey
    valkey.kill()


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for the shared Redis, which no test breaks: a machine that stalls must not fail a test.

    Tests that break a Redis have their own, and the real time limit.
    """
    if not {"own_valkey", "frail_valkey"} & set(request.fixturenames):
        for module in (redis_client, redis_connection, redis_link, redis_store):
            monkeypatch.setattr(module, "TIMEOUT_SECONDS", 10.0)


@pytest.fixture
async def world(shared_valkey: Valkey) -> AsyncIterator[World]:
    clock = Clock()
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
        app = create_app(world.settings(replica, **changes), clock=world.clock)
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
