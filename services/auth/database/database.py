"""The SQL database: how it is opened, prepared and asked, and what happens when it does not answer."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Executable, Row, Select, inspect, literal, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import UpdateBase

from services.auth.database.engines import FAULTS, pooled_engine, unpooled_engine
from services.auth.database.schema import metadata
from services.auth.database.unique_names import make_names_unique
from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

BUDGET_SECONDS = 0.25  # for one statement, with all waits: the pool, a connection, a lock, the server, the commit
SQLITE_BUDGET_SECONDS = 2.0  # there the above bounds the wait for a lock only: see `Database`
PROBE_SECONDS = 1.0  # how long one probe waits for an answer, which comes as soon as the database is back
START_ATTEMPTS, START_ATTEMPT_SECONDS, START_PAUSE_SECONDS = 20, 5, 0.5
NO_ANSWER = "The account database does not answer."

T = TypeVar("T")


@asynccontextmanager
async def open_database(url: URL) -> AsyncIterator["Database"]:
    """Yield a database whose tables exist; stop the process with a clear line if it cannot be used."""
    async with unpooled_engine(url) as unpooled, pooled_engine(url, BUDGET_SECONDS) as pooled:
        await _create_tables(unpooled)
        database = Database(pooled, unpooled)
        try:
            yield database
        finally:
            await database.close()


class WriterQueue:
    """Lets one writer at a time ask SQLite, first come, first served.

    Many that wait for SQLite's lock try again now and then, and the unlucky ones never meet it free: 18 of 100 failed
    in a burst of 16 from each of two processes on a slow disk, and none do when they queue here.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed_at = float("-inf")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn. `Unavailable` if another has waited for SQLite in vain meanwhile: all did so with it."""
        came_at = time.monotonic()
        async with self._lock:
            if self._failed_at > came_at:
                raise Unavailable(NO_ANSWER)
            try:
                yield
            except OperationalError:
                self._failed_at = time.monotonic()
                raise


class Database:
    """Runs single statements, each in a transaction of its own and within `budget_seconds`.

    That is much time at start-up, and `BUDGET_SECONDS` once people wait: `hurry` is called in between. SQLite cannot
    die, it can only be locked, and gives up waiting for a lock after `BUDGET_SECONDS` by itself. All else that takes
    time there is a queue in our own process or a slow disk: no reason to fail, so the budget is larger.

    Every call raises `Unavailable` if the database does not answer in time. When that happens, one task asks it on a
    connection of its own; if that gets no answer either, all calls fail at once until there is one
    (docs/adr/0019-database-budget.md). `IntegrityError`, `ProgrammingError` and `DataError` are left to the caller.
    """

    def __init__(self, pooled: AsyncEngine, unpooled: AsyncEngine) -> None:
        self.budget_seconds: float = START_ATTEMPT_SECONDS
        self._pooled = pooled
        self._unpooled = unpooled
        self._writers = WriterQueue() if pooled.dialect.name == "sqlite" else None
        self._silent = False
        self._complaint = ""
        self._probing: asyncio.Task[None] | None = None
        self._left: set[asyncio.Task[Any]] = set()

    async def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """Return the rows that *query* selects."""
        return await self._within_budget(lambda: self._read(query))

    async def change(self, statement: UpdateBase) -> int:
        """Insert, update or delete; return the number of rows.

        After `Unavailable` the change may have been made: perhaps only the answer was lost.
        """
        return await self._within_budget(lambda: self._write(statement))

    def hurry(self) -> None:
        """Keep to the budget of serving from now on."""
        self.budget_seconds = SQLITE_BUDGET_SECONDS if self._writers else BUDGET_SECONDS

    async def missing(self) -> str | None:
        """Return None if the database answers, else what to say about it (a `ReadyCheck`)."""
        try:
            await self.rows(select(literal(1)))
        except Unavailable as problem:
            return problem.detail
        return None

    async def close(self) -> None:
        """Stop the probe, and wait for what is still being cleaned up."""
        if self._probing:
            self._leave(self._probing)
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _within_budget(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do *work* in a task of its own, so that its clean-up after a time-out delays nobody."""
        if self._silent:
            raise Unavailable(NO_ANSWER)
        task = asyncio.create_task(work())
        try:
            await asyncio.wait({task}, timeout=self.budget_seconds)
            if not task.done():
                self._complain(f"it has not answered within {self.budget_seconds} s")
                self._suspect()
                raise Unavailable(NO_ANSWER)
            result = task.result()
        except (IntegrityError, ProgrammingError, DataError):
            raise
        except FAULTS as error:
            self._complain(_first_line(error))
            if isinstance(error, TimeoutError):
                self._suspect()
            raise Unavailable(NO_ANSWER) from error
        finally:
            self._leave(task)
        self._complaint = ""
        return result

    async def _read(self, query: Executable) -> Sequence[Row[Any]]:
        try:
            return await self._rows(query)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._rows(query)  # PostgreSQL was just closing that connection; others may work

    async def _rows(self, query: Executable) -> Sequence[Row[Any]]:
        async with self._pooled.begin() as connection:
            return (await connection.execute(query)).all()

    async def _write(self, statement: UpdateBase) -> int:
        if not self._writers:
            return await self._change(statement)
        async with self._writers.turn():
            return await self._change(statement)

    async def _change(self, statement: UpdateBase) -> int:
        async with self._pooled.begin() as connection:
            return (await connection.execute(statement)).rowcount

    def _leave(self, task: asyncio.Task[Any]) -> None:
        """Cancel *task* unless it is done, and let it end without us."""
        if task.cancel():
            self._left.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else asks for it, and asyncio would complain

    def _suspect(self) -> None:
        """Find out whether it is the database that is silent, rather than one statement that takes too long."""
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        if await self._answers(BUDGET_SECONDS):
            return
        self._silent = True
        log.warning("database: silent; requests that need it are answered 503 at once until it answers again")
        while not await self._answers(PROBE_SECONDS):
            pass
        self._silent = False
        log.info("database: it answers again")

    def _complain(self, reason: str) -> None:
        """Log *reason* once, not for each request, until something works or something else is wrong."""
        if reason != self._complaint:
            log.warning("database: %s", reason)
        self._complaint = reason

    async def _answers(self, seconds: float) -> bool:
        """Return whether there is any answer within *seconds*. "No" is one: whoever asks gets it as quickly."""
        try:
            async with asyncio.timeout(seconds), self._unpooled.connect() as connection:
                await connection.execute(select(literal(1)))
        except TimeoutError:
            return False
        except FAULTS:
            return True
        return True


async def _create_tables(engine: AsyncEngine) -> None:
    """Create what is missing, with patience: the database may be starting, or another process creating."""
    for attempt in range(START_ATTEMPTS):
        try:
            async with asyncio.timeout(START_ATTEMPT_SECONDS), engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
                await connection.run_sync(make_names_unique)
                return await connection.run_sync(_add_new_columns)
        except FAULTS as error:  # a TimeoutError is an OSError
            reason = _first_line(error)
            log.info("attempt %d at the database failed: %s", attempt + 1, reason)
        await asyncio.sleep(START_PAUSE_SECONDS)
    sys.exit(f"AUTH_DATABASE_URL: {engine.url!r} cannot be used: {reason}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _add_new_columns(connection: Connection) -> None:
    """Bring tables of an earlier version up to date. New columns may be empty: there is nothing to fill them with."""
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))
