"""Signing keys removed in an emergency: a set in Redis, for replicas that cannot fetch the key set."""

from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.redis_client import repeated, unavailable_without_redis

REMOVED_KEYS = "auth:removed-keys"
REMEMBERED_SECONDS = (
    7 * 24 * 60 * 60
)  # after the last removal: no replica trusts keys for longer than this without fetching them
NOT_TOLD = "The key is removed, but not every replica knows yet. Please repeat the request."


class RemovedKeys:
    """The ids of removed keys. The auth service adds them, the replicas read them with every refresh of the key set."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, kid: str) -> None:
        """Add a key. Raises `Unavailable` if Redis does not respond. Adding a key twice does no harm."""
        with unavailable_without_redis(NOT_TOLD):
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.sadd(REMOVED_KEYS, kid)
                pipeline.expire(REMOVED_KEYS, REMEMBERED_SECONDS)
                await pipeline.execute()

    async def read(self) -> frozenset[str]:
        """Return the ids, or none if Redis does not respond: replicas learn of removals from the key set, too."""
        try:
            members = await repeated(lambda: cast(Awaitable[set[bytes]], self._redis.smembers(REMOVED_KEYS)))
        except (RedisError, OSError):
            return frozenset()
        return frozenset(member.decode("ascii", "replace") for member in members)
