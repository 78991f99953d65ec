"""Which keys were removed in an emergency: the second way to learn it, for a replica that cannot fetch the key set."""

from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.redis_client import repeated
from services.common.removed_keys import REMOVED_KEYS


class RemovedKeys:
    """The auth service's set in Redis; calling it returns the ids."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def __call__(self) -> frozenset[str]:
        """Read it. Without Redis nothing new is known: the key set itself is the first way."""
        try:
            members = await repeated(lambda: cast(Awaitable[set[bytes]], self._redis.smembers(REMOVED_KEYS)))
        except (RedisError, OSError):
            return frozenset()
        return frozenset(member.decode("ascii", "replace") for member in members)
