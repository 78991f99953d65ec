"""How many bytes a login takes on the server.

`python -m tests.drills.footprint` measures `memory` in a process of its own. The sessions are those of browsers, one
for each user.
"""

import asyncio
import gc
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import unused_port

from loadtest.cluster.binaries import find_binaries
from loadtest.cluster.topology import REPOSITORY
from services.app.redis_link.link import RedisLink
from services.app.sessions.device_names import short
from services.app.sessions.key import SessionKey, key_of, new_cookie
from services.app.sessions.memory_store import MemorySessionStore
from services.app.sessions.redis_store import RedisSessionStore
from services.app.sessions.state import SessionLifetimes, encode
from services.app.sessions.store import SessionStore
from services.app.strategy import User
from services.common.devices import Device, LoginLimit
from services.common.redis_client import open_redis

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
DEVICE = short(Device("203.0.113.77", CHROME))
LIFETIMES, LIMIT = SessionLifetimes(1800, 43200), LoginLimit(50, "end-oldest")
FIRST, MORE = 1_000, 100_000
AT_ONCE = 24


class Begun(NamedTuple):
    """A new session, as `services.app.sessions.storage` hands it to its store."""

    key: SessionKey
    raw: bytes


def begin() -> Begun:
    """Return the session of another user."""
    user, now = User(uuid.uuid4().hex, f"user-{uuid.uuid4().hex[:11]}"), time.time()
    return Begun(key_of(new_cookie(user.id)), encode(LIFETIMES.begun(user, DEVICE, now, now, {})))


async def fill(store: SessionStore, count: int) -> None:
    """Store *count* more sessions, several at a time."""

    async def some(number: int) -> None:
        for _ in range(number):
            session = begin()
            assert await store.create(session.key, session.raw, LIFETIMES.idle, LIMIT)

    await asyncio.gather(*(some(count // AT_ONCE + (n < count % AT_ONCE)) for n in range(AT_ONCE)))


async def memory_bytes() -> float:
    """Return the bytes of this process alone (USS) for each of `MORE` sessions beyond the first ones."""
    store, process = MemorySessionStore(FIRST + MORE, time.time), psutil.Process()
    await fill(store, FIRST)
    gc.collect()
    before = process.memory_full_info().uss
    await fill(store, MORE)
    gc.collect()
    assert len(store) == FIRST + MORE
    return (process.memory_full_info().uss - before) / MORE


class RedisFigures(NamedTuple):
    """Bytes for each of `MORE` logins: the data with keys, index and expiry, and the process with its overhead."""

    used: float
    resident: float
    allocator: str


async def redis_bytes() -> RedisFigures:
    """Measure what a login takes in a Redis configured as in every deployment, except that it writes no file."""
    with tempfile.TemporaryDirectory() as directory:
        async with redis_as_deployed(Path(directory)) as url, open_redis(url, "") as client:
            link = RedisLink(url, "")
            life = link.kept(web.Application())
            await anext(life)
            store = RedisSessionStore(client, link, "redis:", time.time)
            await fill(store, FIRST)
            before = await client.info("memory")
            await fill(store, MORE)
            after = await client.info("memory")
            assert await client.dbsize() == FIRST + MORE
            assert [one async for one in life] == []
    used, resident = ((after[name] - before[name]) / MORE for name in ("used_memory", "used_memory_rss"))
    return RedisFigures(used, resident, after["mem_allocator"])


@asynccontextmanager
async def redis_as_deployed(directory: Path) -> AsyncIterator[str]:
    """Run Redis with deploy/redis.conf and yield its URL."""
    port = unused_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--appendonly", "no"]
    command = [find_binaries()["REDIS_BIN"], str(REPOSITORY / "deploy/redis.conf"), *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await _until_it_answers(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        await process.wait()


async def _until_it_answers(port: int) -> None:
    async with asyncio.timeout(10), redis.asyncio.Redis(port=port, protocol=2) as client:
        while True:
            try:
                await client.ping()
            except redis.ConnectionError:
                await asyncio.sleep(0.02)
            else:
                return


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(memory_bytes())}\n")
