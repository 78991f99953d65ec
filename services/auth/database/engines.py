"""SQLAlchemy engines that drop broken connections at once."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import URL, NullPool, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECTIONS = 5  # per process: more than an event loop can keep busy, and few enough to replace all at once
CONNECT_SECONDS = 2.0  # for an attempt to connect, however many callers wait for it in turn

FAULTS = (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""Errors of a database. While it connects, SQLAlchemy passes on some of asyncpg's errors unchanged."""


class PromptConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection to PostgreSQL that closes without waiting for the server, which may be paused."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  # asyncpg's signature
        """Drop the connection."""
        self.terminate()


class Connector:
    """Connects like `asyncpg.connect`, but continues if the caller is cancelled: the next caller gets the connection.

    So a connection is made even if that takes longer than any caller waits. And a server that comes back after hanging
    does not find a queue of abandoned attempts, each of which would cost it a process.
    """

    def __init__(self) -> None:
        self._abandoned: list[asyncio.Task[PromptConnection]] = []

    async def __call__(self, *arguments: Any, **options: Any) -> PromptConnection:
        """Return a connection; the arguments are asyncpg's."""
        attempt = self._abandoned.pop(0) if self._abandoned else self._attempt(asyncpg.connect(*arguments, **options))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if not _failed(attempt):
                self._abandoned.append(attempt)
            raise

    async def close(self) -> None:
        """End the attempts that nobody waits for."""
        for attempt in self._abandoned:
            attempt.cancel()
        await asyncio.gather(*self._abandoned, return_exceptions=True)
        for attempt in self._abandoned:
            if not _failed(attempt):
                attempt.result().terminate()

    def _attempt(self, connecting: Coroutine[Any, Any, PromptConnection]) -> asyncio.Task[PromptConnection]:
        attempt = asyncio.create_task(connecting)
        attempt.add_done_callback(self._ended)
        return attempt

    def _ended(self, attempt: asyncio.Task[PromptConnection]) -> None:
        if attempt in self._abandoned and _failed(attempt):
            self._abandoned.remove(attempt)


def _failed(attempt: asyncio.Task[PromptConnection]) -> bool:
    return attempt.done() and (attempt.cancelled() or attempt.exception() is not None)


@asynccontextmanager
async def pooled_engine(url: URL, seconds: float) -> AsyncIterator[AsyncEngine]:
    """Yield the engine for serving. The database itself, too, ends a statement after *seconds*.

    Otherwise, PostgreSQL would keep waiting for a lock after its client has left, and the connection would stay busy.
    There are no connections beyond the pool: a busy pool would only get slower if each request opened and closed one.
    """
    options: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0}
    limits = {"statement_timeout": str(int(seconds * 1000))}
    async with _sqlite(url, seconds, options) if _is_sqlite(url) else _postgresql(url, limits, options) as engine:
        yield engine


@asynccontextmanager
async def unpooled_engine(url: URL) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that opens a connection for each use and does not limit statements."""
    options = {"poolclass": NullPool}
    async with _sqlite(url, 5, options) if _is_sqlite(url) else _postgresql(url, {}, options) as engine:
        yield engine


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


@asynccontextmanager
async def _postgresql(url: URL, settings: dict[str, str], options: dict[str, Any]) -> AsyncIterator[AsyncEngine]:
    connector = Connector()
    arguments = {
        "async_creator_fn": connector,
        "connection_class": PromptConnection,
        "server_settings": settings,
        "timeout": CONNECT_SECONDS,
    }
    engine = create_async_engine(url, connect_args=arguments, **options)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    try:
        yield engine
    finally:
        await engine.dispose()
        await connector.close()


def _refuse_closed(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    """Make the pool replace a connection that PostgreSQL has closed.

    asyncpg notices that by itself. SQLAlchemy's `pool_pre_ping` would cost three round trips, and hang if the server
    does.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@asynccontextmanager
async def _sqlite(url: URL, seconds: float, options: dict[str, Any]) -> AsyncIterator[AsyncEngine]:
    """Yield an engine for SQLite, where *seconds* limit the wait for another writer."""
    engine = create_async_engine(url, connect_args={"timeout": seconds}, **options)
    event.listen(engine.sync_engine, "connect", _readers_beside_a_writer)
    try:
        yield engine
    finally:
        await engine.dispose()


def _readers_beside_a_writer(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
