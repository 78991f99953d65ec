"""Sessions in Redis: a hash for each user, with a field for each of their sessions.

So there is no separate index of a user's sessions: listing them, limiting their number and ending them takes one step
each, no index can disagree with the sessions, and a login costs one key instead of two.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.app.redis_link.connection import OnAnswer
from services.app.redis_link.link import RedisLink
from services.app.sessions.key import SessionKey
from services.common.devices import LoginLimit
from services.common.redis_client import TIMEOUT_SECONDS, repeated, unavailable, unavailable_without_redis

log = logging.getLogger(__name__)

# A session begins with `[expires,seen,created,` (services.app.sessions.state). Anything else counts as expired.
LUA = """
local key = KEYS[1]
local function times(raw)
    local expires, seen, created = string.match(raw, '^%[(%d+),(%d+),([%d.]+),')
    return tonumber(expires) or 0, tonumber(seen) or 0, tonumber(created) or 0
end
local function live_for(milliseconds)
    if redis.call('PTTL', key) < tonumber(milliseconds) then redis.call('PEXPIRE', key, milliseconds) end
end
"""

# Returns 0 if the user has reached the limit and the policy is to deny. The session that the new one replaces does not
# count. It is deleted last, so that nothing has changed if Redis is out of memory.
CREATE = f"""{LUA}
local id, raw, milliseconds, now, most, deny = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local replaced = ARGV[7]
local kind = redis.call('TYPE', key).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end -- a foreign value must not prevent logins
local live, stored = {{}}, redis.call('HGETALL', key)
for i = 1, #stored, 2 do
    local expires, seen = times(stored[i + 1])
    if expires <= now then
        redis.call('HDEL', key, stored[i])
    elseif stored[i] ~= replaced then
        table.insert(live, {{seen, stored[i]}})
    end
end
if #live >= most and deny == '1' then return 0 end
table.sort(live, function(a, b) return a[1] < b[1] end)
for i = 1, #live - most + 1 do redis.call('HDEL', key, live[i][2]) end
redis.call('HSET', key, id, raw)
redis.call('HDEL', key, replaced)
live_for(milliseconds)
return 1
"""

REPLACE = f"""{LUA}
if redis.call('HGET', key, ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', key, ARGV[1], ARGV[3])
live_for(ARGV[4])
return 1
"""

END_ALL = f"""{LUA}
local kept, now, before, ended, stored = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 0, redis.call('HGETALL', key)
for i = 1, #stored, 2 do
    local expires, _, created = times(stored[i + 1])
    if stored[i] ~= kept and created <= before then
        redis.call('HDEL', key, stored[i])
        if expires > now then ended = ended + 1 end
    end
end
return ended
"""

FOREVER = 2**53


class RedisSessionStore:
    """A `SessionStore` in the Redis keys that begin with *prefix*. *clock* returns Unix time.

    The look-ups of every request go over *link*, everything else over *redis*. While the link is down, all calls fail
    at once. Reads are repeated if their connection is cut, writes never are.
    """

    def __init__(self, redis: Redis, link: RedisLink, prefix: str, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._link = link
        self._prefix = prefix
        self._clock = clock
        self._create = redis.register_script(CREATE)
        self._replace = redis.register_script(REPLACE)
        self._end_all = redis.register_script(END_ALL)

    def key(self, owner: str) -> str:
        """Return the Redis key of a user's sessions."""
        return self._prefix + owner

    async def create(self, key: SessionKey, raw: bytes, ttl: float, limit: LoginLimit, replaced: bytes = b"") -> bool:
        """Store a new session. Redis deletes the user's key when their last session has expired."""
        deny = int(limit.policy == "deny")
        arguments = (key.id, raw, _milliseconds(ttl), self._clock(), limit.most, deny, replaced)
        return bool(await self._run(self._create, key.owner, arguments))

    async def read(
        self, key: SessionKey, link: RedisLink | None = None, on_answer: OnAnswer | None = None
    ) -> bytes | None:
        """Return the session. *link* and *on_answer* are for caches."""
        try:
            raw = await (link or self._link).look_up("HGET", self._prefix + key.owner, key.id, on_answer=on_answer)
        except ResponseError as error:
            _refuse_unless_foreign(error)
            return None
        except OSError as error:
            raise unavailable(error) from error
        return raw if isinstance(raw, bytes) else None

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        """Write *new* if *old* is stored."""
        return bool(await self._run(self._replace, key.owner, (key.id, old, new, _milliseconds(ttl))))

    async def delete(self, key: SessionKey) -> bool:
        """Delete the session."""
        return bool(await self._ask(lambda: self._redis.hdel(self._prefix + key.owner, key.id)))

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the user's sessions."""
        stored: Mapping[bytes, bytes] | None = await self._ask(
            lambda: repeated(lambda: self._redis.hgetall(self._prefix + owner))
        )
        return stored or {}

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Delete the user's sessions except *keep*."""
        arguments = (keep, self._clock(), FOREVER if until is None else until)
        return int(await self._run(self._end_all, owner, arguments) or 0)

    async def _run(self, script: Any, owner: str, arguments: tuple[Any, ...]) -> Any:
        return await self._ask(lambda: script([self._prefix + owner], arguments))

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Return Redis's answer. Raises `Unavailable` within `TIMEOUT_SECONDS` if there is none."""
        with unavailable_without_redis():
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await self._link.connected()
                    return await command()
            except ResponseError as error:
                _refuse_unless_foreign(error)
                return None


def _refuse_unless_foreign(error: ResponseError) -> None:
    """Tolerate that a key holds another type of value. Raise `Unavailable` if Redis refuses for any other reason."""
    if "WRONGTYPE" not in str(error):
        raise unavailable(error) from error
    log.error("Redis: unexpected value; treating the user as logged out")


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
