"""How both services reach Redis: with limits on time and connections, and without repeating commands that write."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import RedisError

from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.25
SOON_SECONDS = 0.01  # before the first attempt to replace a lost connection, in case it is lost again at once
MAX_CONNECTIONS = 32
NO_ANSWER = "The session store is not responding."

T = TypeVar("T")


class _PooledConnection(Connection):
    """A connection that the pool replaces before use if the other side has reset it.

    redis-py 8.1 only notices an orderly close. After a reset, the next command would fail. And it lets a RuntimeError
    pass, which is what uvloop raises if the connection is lost just before something is written to it.
    """

    async def can_read(self) -> bool:
        """Return whether the connection cannot be used as it is (called by the pool)."""
        return self._writer is None or self._writer.is_closing() or await super().can_read()

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send *command*. Raises `redis.exceptions.ConnectionError` if the connection is lost."""
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise LostConnectionError(str(error)) from error


def connect(url: str, password: str, **options: Any) -> Redis:
    """Return a client that connects on first use, waits for a free connection, and never repeats a command.

    It speaks RESP 2, because with RESP 3, redis-py 8.1 does not check pooled connections for unread answers. *options*
    override those of the pool.
    """
    usual: dict[str, Any] = {
        "connection_class": _PooledConnection,
        "protocol": 2,
        "max_connections": MAX_CONNECTIONS,
        "timeout": TIMEOUT_SECONDS,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    return Redis.from_pool(BlockingConnectionPool.from_url(url, password=password, **(usual | options)))


async def repeated(read: Callable[[], Awaitable[T]]) -> T:
    """Return the result of *read*, which is called once more if its connection is lost. It must be read-only.

    Raises TimeoutError if both calls together take longer than `TIMEOUT_SECONDS`.
    """
    async with asyncio.timeout(TIMEOUT_SECONDS):
        try:
            return await read()
        except LostConnectionError:
            return await read()


@contextmanager
def unavailable_without_redis(detail: str = NO_ANSWER) -> Iterator[None]:
    """Raise `Unavailable` with *detail* if Redis does not answer a command in the block, or refuses it."""
    try:
        yield
    except (RedisError, OSError) as error:  # a TimeoutError is an OSError
        raise unavailable(error, detail) from error


def unavailable(error: Exception, detail: str = NO_ANSWER) -> Unavailable:
    """Log *error* and return what to raise in its place."""
    log.warning("Redis: %s", str(error) or type(error).__name__)
    return Unavailable(detail)


@asynccontextmanager
async def open_redis(url: str, password: str, **options: Any) -> AsyncIterator[Redis]:
    """Yield the result of `connect`, and close it at the end. Redis need not be up yet."""
    redis = connect(url, password, **options)
    async with closing(redis):
        yield redis


@asynccontextmanager
async def closing(redis: Redis) -> AsyncIterator[None]:
    """Close *redis* and its pool at the end of the block."""
    try:
        yield
    finally:
        await redis.aclose()
        await redis.connection_pool.aclose()
