"""Fixtures that start the auth service; a test module asks for them with `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from pytest_aiohttp.plugin import AiohttpClient
from redis import Redis

from services.auth.application import create_app
from tests.support.clock import ManualClock
from tests.support.openapi import Recorder
from tests.support.servers.auth import Client, StartAuth, auth_settings, cheap_hasher
from tests.support.servers.postgres import Postgres, run_postgres
from tests.support.servers.valkey import Valkey, run_valkey


@pytest.fixture(scope="session")
def auth_valkey() -> Iterator[Valkey]:
    with run_valkey() as valkey:
        yield valkey


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A server for all tests, each with its own database. A test that stops or kills it must start it again."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def frail_valkey() -> Iterator[Valkey]:
    """A server that only this test uses, and may stop or kill."""
    with run_valkey() as valkey:
        yield valkey


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def start_auth(
    aiohttp_client: AiohttpClient, tmp_path: Path, auth_valkey: Valkey, clock: ManualClock, answers: Recorder
) -> StartAuth:
    """Start an auth process in this event loop. Call it again for another one that shares its database and Redis.

    Redis is emptied first, so that wrong passwords of other tests do not count.
    """
    with Redis.from_url(auth_valkey.url, password=auth_valkey.password) as redis:
        redis.flushdb()

    async def start(valkey: Valkey = auth_valkey, hasher: PasswordHasher | None = None, **overrides: Any) -> Client:
        settings = auth_settings(tmp_path, valkey, **overrides)
        app = create_app(settings, clock=clock, hasher=hasher or cheap_hasher())
        answers.watch(app)
        return await aiohttp_client(app)

    return start
