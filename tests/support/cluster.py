"""What tests need of a real cluster beyond its protocol."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import redis.asyncio

from loadtest.cluster.local import LocalCluster


def until_running(cluster: LocalCluster, name: str, *, others: bool = True) -> None:
    """Wait until everything is ready, without the *others* only *name*, and supervisord considers it started.

    A death before that would count as a failed start.
    """
    deadline = time.monotonic() + 30
    if others:
        cluster.wait_ready()
    else:
        cluster.start(name)  # nothing if it starts already; returns when it is ready
    while cluster.supervised.named(name)[0]["statename"] != "RUNNING":
        assert time.monotonic() < deadline, f"{name} does not start"
        time.sleep(0.05)


@asynccontextmanager
async def redis_of(cluster: LocalCluster) -> AsyncIterator[redis.asyncio.Redis]:
    """Yield a client of the cluster's Redis."""
    url, password = f"redis://127.0.0.1:{cluster.topology.redis_port}", cluster.secret("redis-password")
    async with redis.asyncio.Redis.from_url(url, password=password, protocol=2) as client:
        yield client


async def until_redis_answers(store: redis.asyncio.Redis) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(redis.RedisError):
                await store.ping()
                return
            await asyncio.sleep(0.01)
