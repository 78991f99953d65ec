"""What users see when PostgreSQL is gone, hangs, restarts or is locked: a quick 503, then full recovery.

Uses a real server. Tests of SQLite, which can only be locked, are at the end.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import event

from services.auth.application import PARTS
from tests.support.servers.auth import Client, StartAuth
from tests.support.servers.postgres import Postgres, new_database
from tests.support.timing import A_BUSY_MACHINE_ADDS

pytest_plugins = ("tests.support.servers.auth_fixtures",)

ANN = {"username": "ann", "password": "correct horse"}
BOB = {"username": "bob", "password": "correct horse"}
ADMIN = {"username": "admin", "password": "the administrator's password"}
APP = {"Authorization": aiohttp.encode_basic_auth("app", "the app's own secret")}
RECOVERY_SECONDS = 1.0 + A_BUSY_MACHINE_ADDS


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """A server that works again after the test."""
    yield postgres_server
    postgres_server.go()
    postgres_server.start()


@dataclass
class World:
    """An auth service on PostgreSQL that knows ann, who is logged in, and the administrator."""

    auth: Client
    refresh_token: str
    bearer: dict[str, str]
    admin: dict[str, str]

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Every call that needs the database, by name."""
        post, refreshed = self.auth.post, {"refresh_token": self.refresh_token}
        passwords = {"old_password": ANN["password"], "new_password": "another horse"}
        return {
            "login": lambda: post("/auth/login", json=ANN),
            "password check": lambda: post("/auth/password/check", json=ANN, headers=APP),
            "registration": lambda: post("/auth/users", json=BOB),
            "refresh": lambda: post("/auth/token", data={"grant_type": "refresh_token", **refreshed}),
            "introspection": lambda: post("/auth/introspect", data={"token": self.refresh_token}, headers=APP),
            "change of password": lambda: post("/auth/password", json=passwords, headers=self.bearer),
            "list of logins": lambda: self.auth.get("/auth/sessions", headers=self.bearer),
            "key rotation": lambda: post("/auth/admin/keys/rotate", headers=self.admin),
            "readiness": lambda: self.auth.get("/readyz"),
        }


async def tokens_of(auth: Client, credentials: dict[str, str]) -> dict[str, Any]:
    answer = await auth.post("/auth/login", json=credentials)
    assert answer.status == 200, await answer.text()
    return dict(await answer.json())


@contextlib.contextmanager
def patience(auth: Client) -> Iterator[None]:
    """Let *auth* wait for its database as long as it takes: the test is not about time, and the machine may be busy."""
    database = auth.app[PARTS].database
    database.budget_seconds, usual = 20, database.budget_seconds
    yield
    database.budget_seconds = usual


@pytest.fixture
def start(start_auth: StartAuth, postgres: Postgres) -> StartAuth:
    """Start an auth process with an empty PostgreSQL database of its own, or the one of *settings*."""

    async def started(**settings: Any) -> Client:
        where = {"AUTH_DATABASE_URL": await new_database(postgres), "postgres-password": postgres.password}
        return await start_auth(**(where | settings))

    return started


@pytest.fixture
async def world(start: StartAuth) -> World:
    auth = await start()
    with patience(auth):
        assert (await auth.post("/auth/users", json=ANN)).status == 201
        ann, admin = await tokens_of(auth, ANN), await tokens_of(auth, ADMIN)
    bearers = [{"Authorization": f"Bearer {tokens['access_token']}"} for tokens in (ann, admin)]
    return World(auth, ann["refresh_token"], *bearers)


async def refused_in_time(call: Callable[[], Any]) -> None:
    """Assert a 503 with Retry-After, soon: 300 ms is the promise."""
    began = time.monotonic()
    answer = await call()
    assert time.monotonic() - began < 0.3 + A_BUSY_MACHINE_ADDS
    assert answer.status == 503, await answer.text()
    if answer.url.path != "/readyz":
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.content_type == "application/problem+json" or "error" in await answer.json()


async def until(status: int, call: Callable[[], Awaitable[aiohttp.ClientResponse]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while (answer := await call()).status != status:
            assert answer.status == 503, await answer.text()


async def until_silent(auth: Client) -> None:
    """Return once requests fail at once: after one unanswered request and one unanswered probe."""
    async with asyncio.timeout(0.25 * 3 + 2 * A_BUSY_MACHINE_ADDS):
        while not auth.app[PARTS].database._silent:
            assert (await auth.get("/readyz")).status == 503


async def test_a_hanging_database_is_503_in_time_everywhere(world: World, postgres: Postgres) -> None:
    postgres.stop()
    await asyncio.gather(*(refused_in_time(call) for call in world.calls().values()))
    assert (await world.auth.get("/auth/jwks.json")).status == 200


async def test_a_hanging_database_costs_no_time_once_that_is_known(
    world: World, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.stop()
    await until_silent(world.auth)
    calls, began = list(world.calls().values()) * 5, time.monotonic()
    for call in calls:
        assert (await call()).status == 503
    assert time.monotonic() - began < len(calls) * 0.25 / 3, "each of them waited for the database"
    assert len([line for line in caplog.messages if line.startswith("database:")]) <= 3, "one line for each request"
    postgres.go()
    await until(200, world.calls()["login"], RECOVERY_SECONDS)
    await until(204, world.calls()["change of password"], RECOVERY_SECONDS)


async def test_a_stopped_database_is_503_at_once_and_recovers(
    world: World, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.kill()
    for call in world.calls().values():
        await refused_in_time(call)
    assert len([line for line in caplog.messages if line.startswith("database:")]) <= 4, "one line for each request"
    postgres.start()
    await until(200, world.calls()["login"], RECOVERY_SECONDS)
    await until(200, world.calls()["refresh"], RECOVERY_SECONDS)


class StopsTheDatabase(PasswordHasher):
    """Hashes as usual, then makes the database hang."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(memory_cost=8, time_cost=1, parallelism=1)
        self.postgres: Postgres | None = None

    def hash(self, *arguments: Any, **options: Any) -> str:
        try:
            return super().hash(*arguments, **options)
        finally:
            if self.postgres:
                self.postgres.stop()

    def verify(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().verify(*arguments, **options)
        finally:
            if self.postgres:
                self.postgres.stop()


@pytest.mark.parametrize("path", ["/auth/login", "/auth/users"])
async def test_a_database_that_goes_away_during_the_hash_is_503_in_time(
    start: StartAuth, postgres: Postgres, path: str
) -> None:
    hasher = StopsTheDatabase(postgres)
    auth = await start(hasher=hasher)
    hasher.postgres = postgres
    await refused_in_time(lambda: auth.post(path, json=ADMIN if path == "/auth/login" else ANN))


async def test_more_requests_than_connections_neither_wait_longer_nor_leak_connections(
    world: World, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.stop()
    login = world.calls()["refresh"]
    await asyncio.gather(*(refused_in_time(login) for _ in range(60)))
    postgres.go()
    with patience(world.auth):
        await until(200, login, RECOVERY_SECONDS)
        answers = await asyncio.gather(*(world.auth.get("/readyz") for _ in range(60)))
    assert {answer.status for answer in answers} == {200}
    assert world.auth.app[PARTS].database._left == set()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_connections_closed_by_postgresql_fail_no_request(world: World, postgres: Postgres) -> None:
    others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname LIKE 'test%'"
    for _ in range(5):
        with patience(world.auth):
            await asyncio.gather(*(world.auth.get("/readyz") for _ in range(10)))
            assert await postgres.ask(others) > 1
            for name, status in {"login": 200, "introspection": 200, "readiness": 200}.items():
                answers = await asyncio.gather(*(world.calls()[name]() for _ in range(3)))
                assert {answer.status for answer in answers} == {status}


async def test_a_read_whose_connection_is_lost_is_repeated(world: World) -> None:
    engine = world.auth.app[PARTS].database._pooled.sync_engine
    lost = []

    @event.listens_for(engine, "before_cursor_execute", once=True)
    def lose(connection: Any, *_: object) -> None:
        lost.append(connection.connection.driver_connection)
        lost[0].terminate()

    with patience(world.auth):
        assert (await world.auth.get("/readyz")).status == 200
    assert lost


async def test_a_change_after_a_restart_of_postgresql_is_made(world: World, postgres: Postgres) -> None:
    """A change cannot be repeated if its fate is unknown, so it must not get a connection known to be closed."""
    others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname LIKE 'test%'"
    with patience(world.auth):
        for _ in range(3):
            await asyncio.gather(*(world.auth.get("/readyz") for _ in range(10)))
            while await postgres.ask(others):
                pass
            assert not await world.auth.app[PARTS].accounts.set_disabled("nobody", disabled=True)


async def test_a_locked_table_is_503_only_for_requests_that_need_it(
    start: StartAuth, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """A locked table does not make the database dead, and PostgreSQL does not wait for the lock longer than we do."""
    url = await new_database(postgres)
    auth = await start(AUTH_DATABASE_URL=url)
    other = await postgres.connect(url.rpartition("/")[2])
    async with other.transaction():
        await other.execute("LOCK TABLE users")
        for _ in range(6):
            await refused_in_time(lambda: auth.post("/auth/login", json=ADMIN))
        with patience(auth):
            assert (await auth.get("/readyz")).status == 200
            assert "silent" not in caplog.text
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            async with asyncio.timeout(0.25 + 2 * A_BUSY_MACHINE_ADDS):
                while await other.fetchval(waiting):
                    pass
    await other.close()
    await until(200, lambda: auth.post("/auth/login", json=ADMIN), RECOVERY_SECONDS)


async def test_a_registration_whose_answer_is_lost_may_have_been_made(world: World, postgres: Postgres) -> None:
    engine = world.auth.app[PARTS].database._pooled.sync_engine
    register = world.calls()["registration"]

    @event.listens_for(engine, "before_cursor_execute")
    def stop_at_the_commit(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            event.listen(engine, "commit", lambda _: postgres.stop(), once=True)

    await refused_in_time(register)
    event.remove(engine, "before_cursor_execute", stop_at_the_commit)
    postgres.go()
    await until(409, register, RECOVERY_SECONDS)
    await until(200, lambda: world.auth.post("/auth/login", json=BOB), RECOVERY_SECONDS)


async def test_keys_are_polled_again_after_an_outage(
    start: StartAuth, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    database = {"AUTH_DATABASE_URL": await new_database(postgres)}
    auth, other = await start(**database, KEY_POLL_SECONDS=0.1), await start(**database)
    postgres.stop()
    async with asyncio.timeout(5):
        while "could not read the signing keys" not in caplog.text:  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.01)
    postgres.go()
    admin = {"Authorization": f"Bearer {(await tokens_when_back(other))['access_token']}"}
    await until(200, lambda: other.post("/auth/admin/keys/rotate", headers=admin), RECOVERY_SECONDS)
    planned = {key.kid for key in other.app[PARTS].keys.keys}
    async with asyncio.timeout(5):
        while {key.kid for key in auth.app[PARTS].keys.keys} != planned:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)


async def tokens_when_back(auth: Client) -> dict[str, Any]:
    await until(200, lambda: auth.post("/auth/login", json=ADMIN), RECOVERY_SECONDS)
    return await tokens_of(auth, ADMIN)


async def test_a_service_can_stop_while_its_database_hangs(world: World, postgres: Postgres) -> None:
    postgres.stop()
    await refused_in_time(world.calls()["login"])
    async with asyncio.timeout(A_BUSY_MACHINE_ADDS):
        await world.auth.close()


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a backup or a shell would."""
    with contextlib.closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


async def test_a_locked_sqlite_refuses_writers_in_time_and_no_readers(start_auth: StartAuth, tmp_path: Path) -> None:
    auth = await start_auth()
    with locked(tmp_path / "auth.sqlite"):
        people = [{"username": f"user-{number}", "password": "correct horse"} for number in range(12)]
        await asyncio.gather(*(refused_in_time(partial(auth.post, "/auth/users", json=who)) for who in people))
        assert not auth.app[PARTS].database._silent
        assert (await auth.post("/auth/login", json=ADMIN)).status == 200
    await until(201, lambda: auth.post("/auth/users", json=ANN), RECOVERY_SECONDS)


async def test_sqlite_takes_a_burst_of_writers(start_auth: StartAuth) -> None:
    clients = [await start_auth(), await start_auth()]
    people = [{"username": f"user-{number}", "password": "correct horse"} for number in range(40)]
    answers = await asyncio.gather(*(clients[n % 2].post("/auth/users", json=who) for n, who in enumerate(people)))
    assert {answer.status for answer in answers} == {201}
