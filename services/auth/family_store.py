"""Refresh token families in Redis, shared by all auth processes. They expire there by themselves."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.auth.refresh_rotation import Family, Issued, Terms
from services.common.problems import Unavailable

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.25
CONNECTIONS = 50

# Writes the family only if nobody else has since it was read. Doing it twice does no harm.
REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A family as read, and the very bytes that were read."""

    family: Family
    raw: bytes


class FamilyStore:
    """The families. Every call raises `Unavailable` when Redis does not answer: that is never a no."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._replace = redis.register_script(REPLACE)

    async def create(self, family: Family, now: float) -> None:
        """Store a new family until its token expires."""
        with _told_when_away():
            await self._redis.set(_key(family.id), _dump(family), px=_milliseconds_left(family, now))

    async def load(self, family_id: str) -> Stored | None:
        """Return the family, or None if it ended, expired or never was."""
        with _told_when_away():
            raw = await self._redis.get(_key(family_id))
        return Stored(_parse(raw), raw) if isinstance(raw, bytes) else None

    async def replace(self, stored: Stored, family: Family, now: float) -> bool:
        """Put *family* in the place of *stored*, atomically. False if it is not as it was read any more."""
        with _told_when_away():
            replaced = await self._replace(
                keys=[_key(family.id)], args=(stored.raw, _dump(family), _milliseconds_left(family, now))
            )
        return bool(replaced)

    async def end(self, family_id: str) -> None:
        """Forget the family: from now on all of its tokens are unknown."""
        with _told_when_away():
            await self._redis.delete(_key(family_id))


@asynccontextmanager
async def open_redis(url: str, password: str) -> AsyncIterator[Redis]:
    """Yield a client that waits 250 ms at most and never sends a command twice. Redis need not be there yet."""
    pool = BlockingConnectionPool.from_url(
        url,
        password=password,
        max_connections=CONNECTIONS,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    async with Redis.from_pool(pool) as redis:
        yield redis


@contextmanager
def _told_when_away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        log.warning("Redis does not answer: %s", error)
        raise Unavailable("The store of logins does not answer.") from error


def _key(family_id: str) -> str:
    return f"auth:family:{family_id}"


def _milliseconds_left(family: Family, now: float) -> int:
    return max(1, int((family.current.terms.expires_at - now) * 1000))


def _dump(family: Family) -> bytes:
    return json.dumps(asdict(family), separators=(",", ":")).encode()


def _parse(raw: bytes) -> Family:
    fields = json.loads(raw)
    tokens = tuple(Issued(Terms(**issued["terms"]), issued["digest"]) for issued in fields.pop("tokens"))
    return Family(**fields, tokens=tokens)
