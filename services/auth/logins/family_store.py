"""Refresh token families in Redis, shared by all auth processes. They expire there by themselves."""

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from redis.asyncio import Redis

from services.auth.logins.refresh_rotation import Family, Issued, Terms
from services.auth.redis_faults import unavailable_without_redis
from services.common.devices import LoginLimit
from services.common.redis_client import repeated
from services.common.revocations import PUBLISH, STREAM

EPOCH_SECONDS = 3600  # far longer than any login takes

# The user's families by their expiry. Goes with the last of them.
NOTE = """
local function note(index, id, expires_at, now)
    redis.call('ZADD', index, expires_at, id)
    redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
    local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
    if last then redis.call('EXPIRE', index, math.ceil(last - now)) end
end
"""

# Writes a new family unless all of the user's logins were ended since *epoch* was read (0), or one more is to be denied
# (-1). Otherwise those refreshed longest ago make room. They go last: if Redis' memory is full, nothing has happened.
CREATE = f"""{NOTE}
local index, stream, now, token_life, session_life = KEYS[2], KEYS[4], ARGV[5], ARGV[7], ARGV[8]
local most, deny, prefix = tonumber(ARGV[9]), ARGV[10], ARGV[11]
{PUBLISH}
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[6] then return 0 end
local live = {{}}
if redis.call('ZCOUNT', index, '(' .. now, '+inf') >= most then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '(' .. now, '+inf')) do
        local raw = redis.call('GET', prefix .. id)
        if raw then
            local tokens = cjson.decode(raw).tokens
            table.insert(live, {{tokens[#tokens].terms.issued_at, id}})
        end
    end
    if #live >= most and deny == '1' then return -1 end
    table.sort(live, function(a, b) return a[1] < b[1] end)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
note(index, ARGV[3], ARGV[4], now)
for i = 1, #live - most + 1 do
    redis.call('DEL', prefix .. live[i][2])
    redis.call('ZREM', index, live[i][2])
    publish('family', live[i][2], token_life)
end
if #live >= most then trim() end
return 1
"""

# Writes the family only if nobody else has since it was read. Doing it twice does no harm.
REPLACE = f"""{NOTE}
if redis.call('GET', KEYS[1]) ~= ARGV[6] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
note(KEYS[2], ARGV[3], ARGV[4], ARGV[5])
return 1
"""

# Ends one family. Its user's index is named by the family itself.
END = f"""
local stream, id, now, token_life, session_life = KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
{PUBLISH}
local raw = redis.call('GET', KEYS[1])
if not raw then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', ARGV[5] .. cjson.decode(raw).user_id, id)
publish('family', id, token_life)
trim()
return 1
"""

# Ends the user's families but one (or none), and makes logins that are on their way begin again.
END_ALL = f"""
local index, epoch, stream = KEYS[1], KEYS[2], KEYS[3]
local user, kept, now, token_life, session_life, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
{PUBLISH}
local ended = 0
redis.call('DEL', epoch)
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if id ~= kept then
        redis.call('ZREM', index, id)
        if redis.call('DEL', prefix .. id) == 1 then
            ended = ended + 1
            publish('family', id, token_life)
        end
    end
end
redis.call('SET', epoch, ARGV[7], 'EX', ARGV[8])
publish(kept == '' and 'user' or 'sessions', user, life)
trim()
return ended
"""


@dataclass(frozen=True, slots=True)
class StoredFamily:
    """A family as read, and the very bytes that were read."""

    family: Family
    raw: bytes


class FamilyStore:
    """The families. Every call raises `Unavailable` when Redis does not answer: that is never a no.

    Reads are repeated if their connection is cut, writes never are.

    A revocation is published (see `services.common.revocations`) in the same step; it is of interest for as long as an
    access token or a session could live: *token_seconds*, *session_seconds*. A user has at most *limit* families.
    """

    def __init__(self, redis: Redis, token_seconds: int, session_seconds: int, limit: LoginLimit) -> None:
        self._redis = redis
        self._limit = limit
        self._lives = (token_seconds, session_seconds)
        self._create = redis.register_script(CREATE)
        self._replace = redis.register_script(REPLACE)
        self._end = redis.register_script(END)
        self._end_all = redis.register_script(END_ALL)

    async def epoch(self, user_id: str) -> bytes:
        """Return what changes whenever all logins of the user are ended. To be read before the account is."""
        with unavailable_without_redis():
            epoch = await repeated(lambda: self._redis.get(_epoch_key(user_id)))
        return epoch if isinstance(epoch, bytes) else b""

    async def create(self, family: Family, epoch: bytes, now: float) -> bool:
        """Store a new family until its token expires. False if the user's epoch is not *epoch* any more.

        It is within the limit also when there are several at once. `Conflict` if it is denied.
        """
        keys = [_key(family.id), _index_key(family.user_id), _epoch_key(family.user_id), STREAM]
        limit = (self._limit.most, int(self._limit.policy == "deny"), _key(""))
        with unavailable_without_redis():
            done = int(await self._create(keys=keys, args=(*_written(family, now), epoch, *self._lives, *limit)))
        if done < 0:
            raise self._limit.refusal()
        return bool(done)

    async def load(self, family_id: str) -> StoredFamily | None:
        """Return the family, or None if it ended, expired or never was."""
        with unavailable_without_redis():
            raw = await repeated(lambda: self._redis.get(_key(family_id)))
        return StoredFamily(_parse(raw), raw) if isinstance(raw, bytes) else None

    async def newest_of(self, user_id: str, count: int) -> list[Family]:
        """Return the user's families, at most *count*; those that expire last come first."""
        with unavailable_without_redis():
            ids: Any = await repeated(lambda: self._redis.zrange(_index_key(user_id), 0, count - 1, desc=True))
            keys = [_key(family_id.decode()) for family_id in ids]
            found: Any = await repeated(lambda: self._redis.mget(keys)) if keys else []
        return [_parse(raw) for raw in found if raw]

    async def replace(self, stored: StoredFamily, family: Family, now: float) -> bool:
        """Put *family* in the place of *stored*, atomically. False if it is not as it was read any more."""
        with unavailable_without_redis():
            keys = [_key(family.id), _index_key(family.user_id)]
            return bool(await self._replace(keys=keys, args=(*_written(family, now), stored.raw)))

    async def end(self, family_id: str, now: float) -> bool:
        """Forget the family: from now on all of its tokens are unknown. False if it was not there."""
        with unavailable_without_redis():
            args = (family_id, now, *self._lives, _index_key(""))
            return bool(await self._end(keys=[_key(family_id), STREAM], args=args))

    async def end_all(self, user_id: str, now: float, *, keep: str = "") -> int:
        """Forget all of the user's families but *keep*; a login on its way is not created. Returns how many ended."""
        with unavailable_without_redis():
            keys = [_index_key(user_id), _epoch_key(user_id), STREAM]
            nonce = secrets.token_urlsafe(9)
            args = (user_id, keep, now, *self._lives, _key(""), nonce, EPOCH_SECONDS)
            return int(await self._end_all(keys=keys, args=args))


def _key(family_id: str) -> str:
    return f"auth:family:{family_id}"


def _index_key(user_id: str) -> str:
    return f"auth:families:{user_id}"


def _epoch_key(user_id: str) -> str:
    return f"auth:epoch:{user_id}"


def _written(family: Family, now: float) -> tuple[bytes, int, str, int, float]:
    """Return what `CREATE` and `REPLACE` take first."""
    return _dump(family), _milliseconds_left(family, now), family.id, family.current.terms.expires_at, now


def _milliseconds_left(family: Family, now: float) -> int:
    return max(1, int((family.current.terms.expires_at - now) * 1000))


def _dump(family: Family) -> bytes:
    return json.dumps(asdict(family), separators=(",", ":")).encode()


def _parse(raw: bytes) -> Family:
    fields = json.loads(raw)
    tokens = tuple(Issued(Terms(**issued["terms"]), issued["digest"]) for issued in fields.pop("tokens"))
    return Family(**fields, tokens=tokens)
