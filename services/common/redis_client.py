"""How both services reach Redis: bounded in time and in connections, and never twice with one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_SECONDS = 0.25
MAX_CONNECTIONS = 32


def connect(url: str, password: str, **options: Any) -> Redis:
    """Return a client; it connects when it is first used, waits for a free connection, and never repeats a command.

    RESP 2, because with 3 this version of redis-py does not check whether a pooled connection has an unread answer.
    *options* are the pool's, in place of these.
    """
    usual: dict[str, Any] = {
        "protocol": 2,
        "max_connections": MAX_CONNECTIONS,
        "timeout": TIMEOUT_SECONDS,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    return Redis.from_pool(BlockingConnectionPool.from_url(url, password=password, **(usual | options)))


@asynccontextmanager
async def open_redis(url: str, password: str, **options: Any) -> AsyncIterator[Redis]:
    """Yield what `connect` returns and close it in the end. Redis need not be there yet."""
    redis = connect(url, password, **options)
    try:
        yield redis
    finally:
        await close(redis)


async def close(redis: Redis) -> None:
    """Close the client and its pool."""
    await redis.aclose()
    await redis.connection_pool.aclose()
