"""Tells the replicas of removed keys by a second way, for those that cannot fetch the key set."""

import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.http.problems import Unavailable
from services.common.removed_keys import REMEMBERED_SECONDS, REMOVED_KEYS

log = logging.getLogger(__name__)


class RemovedKeys:
    """The set in Redis that replicas read with every refresh."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, kid: str) -> None:
        """Tell them. `Unavailable` if Redis does not answer; telling them twice does no harm."""
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
