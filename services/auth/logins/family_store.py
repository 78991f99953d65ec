"""Refresh token families in Redis, shared by all auth processes. They expire there by themselves."""

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from redis.asyncio import Redis

from services.auth.logins.refresh_rotation import Family, Issued, Terms
from services.common.devices import LoginLimit
from services.common.redis_client import repeated, unavailable_without_redis
from services.common.revocations import PUBLISH, STREAM

EPOCH_SECONDS = 3600  # far longer than any login request takes

# Keeps an index of the user's families by their expiry. It expires with the last of them.
NOTE = """
local function note(index, id, expires_at, now)
    redis.call('ZADD', index, expires_at, id)
    redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
    local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
    if last then redis.call('EXPIRE', index, math.ceil(last - now)) end
end
"""

# Writes a new family. Returns 0 if all of the user's logins were ended since *epoch* was read, -1 if the limit denies
# one more. Otherwise, the least recently refreshed ones make room. They are deleted last, so that nothing has changed
# if Redis is out of memory.
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

# Writes the family only if nobody has written it since it was read. Repeating it does no harm.
REPLACE = f"""{NOTE}
if redis.call('GET', KEYS[1]) ~= ARGV[6] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
note(KEYS[2], ARGV[3], ARGV[4], ARGV[5])
return 1
"""

# Ends one family, which names its user and thereby their index.
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

# Ends all of the user's families, or all but one, and makes logins in flight start again.
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
    """A family, and the bytes that it was decoded from."""

    family: Family
    raw: bytes


class FamilyStore:
    """Stores families, at most *limit* for each user. Every method raises `Unavailable` if Redis does not respond.

    Reads are repeated if their connection is cut, writes never are.

    The step that ends a login also publishes its revocation (see `services.common.revocations`), which matters for as
    long as an access token or a session can live: *token_seconds*, *session_seconds*.
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
        """Return a value that changes whenever all logins of the user are ended. Read it before the account."""
        with unavailable_without_redis():
            epoch = await repeated(lambda: self._redis.get(_epoch_key(user_id)))
        return epoch if isinstance(epoch, bytes) else b""

    async def create(self, family: Family, epoch: bytes, now: float) -> bool:
        """Store a new family until its token expires. Returns False if the user's epoch is no longer *epoch*.

        The limit holds under concurrent logins, too. Raises `Conflict` if it denies the family.
        """
        keys = [_key(family.id), _index_key(family.user_id), _epoch_key(family.user_id), STREAM]
        limit = (self._limit.most, int(self._limit.policy == "deny"), _key(""))
        with unavailable_without_redis():
            done = int(await self._create(keys=keys, args=(*_written(family, now), epoch, *self._lives, *limit)))
        if done < 0:
            raise self._limit.refusal()
        return bool(done)

    async def load(self, family_id: str) -> StoredFamily | None:
        """Return the family, or None if it ended, expired or never existed."""
        with unavailable_without_redis():
            raw = await repeated(lambda: self._redis.get(_key(family_id)))
        return StoredFamily(_parse(raw), raw) if isinstance(raw, bytes) else None

    async def newest_of(self, user_id: str, count: int) -> list[Family]:
        """Return at most *count* of the user's families, starting with those that expire last."""
        with unavailable_without_redis():
            ids: Any = await repeated(lambda: self._redis.zrange(_index_key(user_id), 0, count - 1, desc=True))
            keys = [_key(family_id.decode()) for family_id in ids]
            found: Any = await repeated(lambda: self._redis.mget(keys)) if keys else []
        return [_parse(raw) for raw in found if raw]

    async def replace(self, stored: StoredFamily, family: Family, now: float) -> bool:
        """Replace *stored* with *family*, atomically. Returns False if *stored* was changed in the meantime."""
        with unavailable_without_redis():
            keys = [_key(family.id), _index_key(family.user_id)]
            return bool(await self._replace(keys=keys, args=(*_written(family, now), stored.raw)))

    async def end(self, family_id: str, now: float) -> bool:
        """End the family: from now on, its tokens are unknown. Returns False if it did not exist."""
        with unavailable_without_redis():
            args = (family_id, now, *self._lives, _index_key(""))
            return bool(await self._end(keys=[_key(family_id), STREAM], args=args))

    async def end_all(self, user_id: str, now: float, *, keep: str = "") -> int:
        """End all of the user's families except *keep*, and logins in flight. Returns the number of families."""
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
    """Return the first arguments of `CREATE` and `REPLACE`."""
    return _dump(family), _milliseconds_left(family, now), family.id, family.current.terms.expires_at, now


def _milliseconds_left(family: Family, now: float) -> int:
    return max(1, int((family.current.terms.expires_at - now) * 1000))


def _dump(family: Family) -> bytes:
    return json.dumps(asdict(family), separators=(",", ":")).encode()


def _parse(raw: bytes) -> Family:
    fields = json.loads(raw)
    tokens = tuple(Issued(Terms(**issued["terms"]), issued["digest"]) for issued in fields.pop("tokens"))
    return Family(**fields, tokens=tokens)
