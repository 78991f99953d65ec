"""Sessions in Redis: a hash for each user, a field for each of his sessions.

So the index by user is the sessions themselves: a list, a limit and a forced logout are one step, nothing can be in one
and missing in the other, and a login costs one key, not two.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from services.app.redis_link.connection import OnAnswer
from services.app.redis_link.link import RedisLink
from services.app.sessions.key import SessionKey
from services.common.devices import LoginLimit
from services.common.http.problems import Unavailable
from services.common.redis_client import TIMEOUT_SECONDS, repeated

log = logging.getLogger(__name__)

# A session begins with `[expires,seen,created,` (services.app.sessions.state). What does not is no session of ours.
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

# Returns 0 if the user has as many sessions as he may and more are to be denied. The session that the new one takes the
# place of does not count, and goes last: if the memory is full, nothing has happened.
CREATE = f"""{LUA}
local id, raw, milliseconds, now, most, deny = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local replaced = ARGV[7]
local kind = redis.call('TYPE', key).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end -- a foreign value keeps nobody logged out
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
    """A `SessionStore` in the Redis keys that begin with *prefix*.

    What every request asks goes over *link*, the rest over *redis*. While the link is down, nothing is tried: Redis
    does not answer. Reads are repeated if their connection is cut, writes never are. *clock* returns Unix time.
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
        """Keep a new session; Redis forgets the user when the last one has expired."""
        deny = int(limit.policy == "deny")
        arguments = (key.id, raw, _milliseconds(ttl), self._clock(), limit.most, deny, replaced)
        return bool(await self._run(self._create, key.owner, arguments))

    async def read(
        self, key: SessionKey, link: RedisLink | None = None, on_answer: OnAnswer | None = None
    ) -> bytes | None:
        """Return the session. *link* and *on_answer* are for those who remember what they read."""
        try:
            raw = await (link or self._link).look_up("HGET", self._prefix + key.owner, key.id, on_answer=on_answer)
        except ResponseError as error:
            _refuse_unless_foreign(error)
            return None
        except OSError as error:
            raise _unavailable(error) from error
        return raw if isinstance(raw, bytes) else None

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        """Write *new* if *old* is what is stored."""
        return bool(await self._run(self._replace, key.owner, (key.id, old, new, _milliseconds(ttl))))

    async def delete(self, key: SessionKey) -> bool:
        """Forget the session."""
        return bool(await self._ask(lambda: self._redis.hdel(self._prefix + key.owner, key.id)))

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the user's sessions."""
        stored: Mapping[bytes, bytes] | None = await self._ask(
            lambda: repeated(lambda: self._redis.hgetall(self._prefix + owner))
        )
        return stored or {}

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Forget the user's sessions but *keep*."""
        arguments = (keep, self._clock(), FOREVER if until is None else until)
        return int(await self._run(self._end_all, owner, arguments) or 0)

    async def _run(self, script: Any, owner: str, arguments: tuple[Any, ...]) -> Any:
        return await self._ask(lambda: script([self._prefix + owner], arguments))

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Return Redis' answer, or raise `Unavailable` after `TIMEOUT_SECONDS`, whatever the reason for having none."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._link.connected()
                return await command()
        except ResponseError as error:
            _refuse_unless_foreign(error)
            return None
        except (RedisError, OSError) as error:  # a TimeoutError is an OSError
            raise _unavailable(error) from error


def _refuse_unless_foreign(error: ResponseError) -> None:
    """Take a value of another type for none; raise `Unavailable` for any other refusal, such as a full memory."""
    if "WRONGTYPE" not in str(error):
        raise _unavailable(error) from error
    log.error("a value in Redis is no user's sessions: he is logged out")


def _unavailable(error: Exception) -> Unavailable:
    log.warning("Redis: %s", type(error).__name__)
    return Unavailable("The session store does not answer.")


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
