"""The SQL database: opening it, preparing it, running statements, and failing fast when it does not respond."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Executable, Row, Select, literal, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import UpdateBase

from services.auth.database.engines import FAULTS, pooled_engine, unpooled_engine
from services.auth.database.schema import metadata
from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

BUDGET_SECONDS = (
    0.25  # for one statement, including all waits: for the pool, a connection, a lock, the server, the commit
)
SQLITE_BUDGET_SECONDS = 2.0  # there the above limits only the wait for a lock: see `Database`
PROBE_SECONDS = 1.0  # how long a probe waits for an answer, which it gets as soon as the database is back
START_ATTEMPTS, START_ATTEMPT_SECONDS, START_PAUSE_SECONDS = 20, 5, 0.5
NO_ANSWER = "The account database is not responding."

T = TypeVar("T")


class WriterQueue:
    """Lets one writer at a time use SQLite, first come, first served.

    Writers that wait for SQLite's lock poll it, and unlucky ones never find it free. In bursts of 16 writers in each
    of two processes on a slow disk, 18 of 100 failed; none fail when they queue here.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed_at = float("-inf")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises `Unavailable` if a writer ahead waits for SQLite in vain: so did everybody behind."""
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

    The budget is large at start-up; `hurry` reduces it to `BUDGET_SECONDS`, because users wait from then on. SQLite
    cannot be down, only locked, and stops waiting for a lock after `BUDGET_SECONDS` by itself. Anything else that takes
    time there is a queue in this process or a slow disk, which is no reason to fail, so its budget is larger.

    Every method raises `Unavailable` if the database does not respond in time. When that happens, a probe tries another
    connection. If that gets no response either, all calls fail at once until the database responds again
    (docs/adr/0019-database-budget.md). `IntegrityError`, `ProgrammingError` and `DataError` are passed on.
    """

    _pooled: AsyncEngine
    _unpooled: AsyncEngine

    def __init__(self, url: URL) -> None:
        self.budget_seconds: float = START_ATTEMPT_SECONDS
        self._url = url
        self._writers = WriterQueue() if url.get_backend_name() == "sqlite" else None
        self._silent = False
        self._complaint = ""
        self._probing: asyncio.Task[None] | None = None
        self._left: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Database"]:
        """Open the database for the block and create missing tables. Exits the process if that is not possible."""
        async with (
            unpooled_engine(self._url) as self._unpooled,
            pooled_engine(self._url, BUDGET_SECONDS) as self._pooled,
        ):
            await _prepare(self._unpooled)
            try:
                yield self
            finally:
                await self._close()

    async def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """Return the rows that *query* selects."""
        return await self._within_budget(lambda: self._read(query))

    async def change(self, statement: UpdateBase) -> int:
        """Insert, update or delete; return the number of rows.

        After `Unavailable`, the change may have been made: perhaps only the response was lost.
        """
        return await self._within_budget(lambda: self._write(statement))

    def hurry(self) -> None:
        """Use the budget for serving from now on."""
        self.budget_seconds = SQLITE_BUDGET_SECONDS if self._writers else BUDGET_SECONDS

    async def missing(self) -> str | None:
        """Require that the database responds (a `ReadyCheck`)."""
        try:
            await self.rows(select(literal(1)))
        except Unavailable as problem:
            return problem.detail
        return None

    async def _close(self) -> None:
        """Stop the probe and wait for tasks that are still cleaning up."""
        if self._probing:
            self._leave(self._probing)
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _within_budget(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do *work* in a task of its own, so that cleaning up after a time-out delays no caller."""
        if self._silent:
            raise Unavailable(NO_ANSWER)
        task = asyncio.create_task(work())
        try:
            await asyncio.wait({task}, timeout=self.budget_seconds)
            if not task.done():
                self._complain(f"no response within {self.budget_seconds} s")
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
        return await self._rows(query)  # PostgreSQL was closing this connection; another one may work

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
        """Cancel *task* unless it is done, and let it finish in the background."""
        if task.cancel():
            self._left.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # retrieve it, or asyncio logs it

    def _suspect(self) -> None:
        """Find out whether the database is silent, or just one statement too slow."""
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        if await self._answers(BUDGET_SECONDS):
            return
        self._silent = True
        log.warning("database: silent; answering 503 at once until it responds again")
        while not await self._answers(PROBE_SECONDS):
            pass
        self._silent = False
        log.info("database: responding again")

    def _complain(self, reason: str) -> None:
        """Log *reason* once, rather than for each request, until it changes or a statement succeeds."""
        if reason != self._complaint:
            log.warning("database: %s", reason)
        self._complaint = reason

    async def _answers(self, seconds: float) -> bool:
        """Return whether there is a response within *seconds*. A refusal is one: callers get it just as quickly."""
        try:
            async with asyncio.timeout(seconds), self._unpooled.connect() as connection:
                await connection.execute(select(literal(1)))
        except TimeoutError:
            return False
        except FAULTS:
            return True
        return True


async def _prepare(engine: AsyncEngine) -> None:
    """Create missing tables. Be patient: the database may be starting, or another process may be creating them."""
    for attempt in range(START_ATTEMPTS):
        try:
            async with asyncio.timeout(START_ATTEMPT_SECONDS), engine.begin() as connection:
                return await connection.run_sync(_create_tables)
        except FAULTS as error:  # a TimeoutError is an OSError
            reason = _first_line(error)
            log.info("database: attempt %d to prepare it failed: %s", attempt + 1, reason)
        await asyncio.sleep(START_PAUSE_SECONDS)
    sys.exit(f"AUTH_DATABASE_URL: {engine.url!r} cannot be used: {reason}")


def _create_tables(connection: Connection) -> None:
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        connection.execute(select(table).limit(0))  # fails if an existing table lacks a column


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
