"""Signing keys removed in an emergency: a set in Redis, for replicas that cannot fetch the key set."""

import logging
from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.http.problems import Unavailable
from services.common.redis_client import repeated

log = logging.getLogger(__name__)

REMOVED_KEYS = "auth:removed-keys"
REMEMBERED_SECONDS = 7 * 24 * 60 * 60  # after the last removal; no replica trusts keys for longer without fetching them


class RemovedKeys:
    """The ids of removed keys. The auth service adds them, the replicas read them with every refresh of the key set."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, kid: str) -> None:
        """Tell the replicas. `Unavailable` if Redis does not answer; telling them twice does no harm."""
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.sadd(REMOVED_KEYS, kid)
                pipeline.expire(REMOVED_KEYS, REMEMBERED_SECONDS)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("Redis does not answer: %s", error)
            raise Unavailable(
                "The key is removed, but replicas that cannot fetch the key set do not know yet: please repeat."
            ) from error

    async def read(self) -> frozenset[str]:
        """Return the ids. Without Redis nothing new is known: the key set itself is the first way."""
        try:
            members = await repeated(lambda: cast(Awaitable[set[bytes]], self._redis.smembers(REMOVED_KEYS)))
        except (RedisError, OSError):
            return frozenset()
        return frozenset(member.decode("ascii", "replace") for member in members)
