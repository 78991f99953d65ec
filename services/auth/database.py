"""The SQL database: how it is opened, prepared and asked, and how its absence is told."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Connection, event, inspect, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.auth.schema import metadata
from services.auth.unique_names import make_names_unique
from services.common.problems import Unavailable

log = logging.getLogger(__name__)

WAIT_SECONDS = 2.0  # for a connection, and for one statement
START_ATTEMPTS, START_PAUSE_SECONDS = 20, 0.5


@asynccontextmanager
async def open_database(url: URL) -> AsyncIterator[AsyncEngine]:
    """Yield an engine whose tables exist; stop the process with a clear line if the database cannot be used."""
    engine = _create_engine(url)
    try:
        await _create_tables(engine)
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection in a transaction, committed at the end. `Unavailable` if the database does not answer."""
    try:
        async with engine.begin() as connection:
            yield connection
    except (IntegrityError, ProgrammingError, DataError):
        raise
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        log.warning("the database does not answer: %s", error)
        raise Unavailable("The account database does not answer.") from error


async def database_missing(engine: AsyncEngine) -> str | None:
    """Return None if the database answers, else what to tell (a readiness check)."""
    try:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT 1"))
    except Unavailable as problem:
        return problem.detail
    return None


def _create_engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": WAIT_SECONDS}, pool_timeout=WAIT_SECONDS)
        event.listen(engine.sync_engine, "connect", _readers_beside_a_writer)
        return engine
    limits = {"timeout": WAIT_SECONDS, "command_timeout": WAIT_SECONDS}
    return create_async_engine(url, connect_args=limits, pool_timeout=WAIT_SECONDS, pool_pre_ping=True)


def _readers_beside_a_writer(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


async def _create_tables(engine: AsyncEngine) -> None:
    """Create what is missing, with patience: the database may be starting, or another process creating."""
    for attempt in range(START_ATTEMPTS):
        try:
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
                await connection.run_sync(make_names_unique)
                return await connection.run_sync(_add_new_columns)
        except (DBAPIError, OSError) as error:
            reason = str(error).partition("\n")[0]
            log.info("attempt %d at the database failed: %s", attempt + 1, reason)
        await asyncio.sleep(START_PAUSE_SECONDS)
    sys.exit(f"AUTH_DATABASE_URL: {engine.url!r} cannot be used: {reason}")


def _add_new_columns(connection: Connection) -> None:
    """Bring tables of an earlier version up to date. New columns may be empty: there is nothing to fill them with."""
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))
