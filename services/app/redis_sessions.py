"""Sessions in Redis, one key each."""

import asyncio
import json
import logging
from collections.abc import Awaitable
from typing import TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from services.app.session_storage import State
from services.common.problems import Unavailable
from services.common.redis_client import TIMEOUT_SECONDS

log = logging.getLogger(__name__)

STATE: TypeAdapter[State] = TypeAdapter(State)

REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

T = TypeVar("T")


class FirstContact:
    """A `ReadyCheck`: Redis must have answered once.

    Later outages leave the replica ready: the strategies that need no Redis still serve, the others say 503.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._made = False

    async def __call__(self) -> str | None:
        """Return what is missing."""
        if not self._made:
            try:
                self._made = bool(await _answer(self._redis.ping()))
            except Unavailable as unavailable:
                return f"Redis: {unavailable.detail}"
        return None


class RedisSessions:
    """A `Store`. Values are JSON arrays (`State`), compared and replaced by a script."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._replace = redis.register_script(REPLACE)

    async def create(self, identity: str, state: State, ttl: float) -> None:
        """Keep a new session, which Redis forgets after *ttl* seconds."""
        await _answer(self._redis.set(self._prefix + identity, _encode(state), px=_milliseconds(ttl), nx=True))

    async def read(self, identity: str) -> State | None:
        """Return the session. What is not a state of ours counts as none."""
        try:
            raw = await _answer(self._redis.get(self._prefix + identity))
            return STATE.validate_json(raw, strict=True) if raw else None
        except (ValidationError, WrongTypeError) as error:
            log.error("a value in Redis is no session, its user is logged out: %s", type(error).__name__)  # noqa: TRY400
            return None

    async def replace(self, identity: str, old: State, new: State, ttl: float) -> bool:
        """Write *new* if *old* is what is stored."""
        arguments: list[bytes | int] = [_encode(old), _encode(new), _milliseconds(ttl)]
        return bool(await _answer(cast("Awaitable[int]", self._replace([self._prefix + identity], arguments))))

    async def delete(self, identity: str) -> None:
        """Forget the session."""
        await _answer(self._redis.delete(self._prefix + identity))


class WrongTypeError(Exception):
    """A key holds another type of value than a session."""


async def _answer(command: Awaitable[T]) -> T:
    """Return Redis' answer, or raise `Unavailable` after `TIMEOUT_SECONDS`, whatever the reason for having none."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await command
    except (RedisError, OSError) as error:  # a TimeoutError is an OSError
        if isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE"):
            raise WrongTypeError from error
        log.warning("Redis: %s", type(error).__name__)
        raise Unavailable("The session store does not answer.") from error


def _encode(state: State) -> bytes:
    return json.dumps(state, separators=(",", ":")).encode()


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
