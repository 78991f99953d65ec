"""Limits on wrong passwords, counted in Redis for all auth processes together.

Only failures count, so users who know their password are never limited. There are three leaky buckets. Each holds
`burst` failures and loses one every `refill` seconds; what is stored is the time when it will be empty:

    pair      account and address   somebody guesses one account
    address                         somebody tries a few passwords on many accounts
    account                         many addresses guess one account

A full bucket lets one attempt through every `refill` seconds, right or wrong, however overfull it is. The last two do
not apply at an address from which the account was registered or logged in to before: there, only guessers at the same
address can delay the owner. For the reasons, see docs/adr/0008-guess-limits.md.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from redis.asyncio import Redis

from services.auth.accounts.precis import comparable_name
from services.auth.clock import Clock
from services.common.http.addresses import site_of
from services.common.http.problems import TooManyRequests
from services.common.redis_client import unavailable_without_redis

KNOWN_ADDRESSES, KNOWN_SECONDS = 20, 90 * 24 * 60 * 60

# A bucket has two fields: the time when it will be `empty`, and that of the next attempt (`turn`) while it is full.

# Returns the seconds to wait (0: none), whether the address is known, and whether the pair has failures.
CHECK = """
local now = tonumber(ARGV[1])
local known = redis.call('ZSCORE', KEYS[4], ARGV[2])
local wait, full = 0, {}
for i = 1, 3 do
    local burst, refill = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
    local bucket = redis.call('HMGET', KEYS[i], 'empty', 'turn')
    if (i == 1 or not known) and tonumber(bucket[1] or 0) - now > (burst - 1) * refill then
        wait = math.max(wait, tonumber(bucket[2]) - now)
        full[KEYS[i]] = now + refill
    end
end
if wait <= 0 then
    for key, turn in pairs(full) do redis.call('HSET', key, 'turn', string.format('%.3f', turn)) end
end
return {tostring(wait), known and 1 or 0, redis.call('EXISTS', KEYS[1])}
"""

# Concurrent checks may all fail. The pair's bucket holds all of these failures. The other two hold up to twice their
# burst: other users must not have to wait for hours because of what one guesser put in there.
FAILED = """
local now = tonumber(ARGV[1])
for i = 1, 3 do
    local burst, refill = tonumber(ARGV[2 * i]), tonumber(ARGV[1 + 2 * i])
    local empty = math.max(tonumber(redis.call('HGET', KEYS[i], 'empty') or 0), now) + refill
    if i > 1 then empty = math.min(empty, now + 2 * burst * refill) end
    local fields = {'empty', string.format('%.3f', empty), 'turn', string.format('%.3f', now + refill)}
    redis.call('HSET', KEYS[i], unpack(fields))
    redis.call('PEXPIRE', KEYS[i], math.ceil((empty - now) * 1000))
end
"""

SUCCEEDED = """
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[4])
"""


class Bucket(NamedTuple):
    """Holds *burst* failures and loses one every *refill* seconds."""

    burst: int
    refill: float


class GuessBuckets(NamedTuple):
    """The three buckets."""

    pair: Bucket = Bucket(10, 60)
    address: Bucket = Bucket(100, 6)
    account: Bucket = Bucket(100, 10)

    def as_arguments(self) -> tuple[float, ...]:
        """Return them as the scripts expect them."""
        return (*self.pair, *self.address, *self.account)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through. *settled*: its success would change nothing."""

    keys: tuple[str, str, str, str] = field(repr=False)
    address: str = field(repr=False)
    settled: bool


class GuessLimits:
    """Counts failures. Methods raise `Unavailable` if Redis does not respond. *key* hides names and addresses there."""

    def __init__(self, redis: Redis, key: bytes, limits: GuessBuckets, clock: Clock) -> None:
        self._key = key
        self._limits = limits
        self._clock = clock
        self._check = redis.register_script(CHECK)
        self._failed = redis.register_script(FAILED)
        self._succeeded = redis.register_script(SUCCEEDED)

    async def check(self, name: str, address: str) -> Attempt:
        """Return an attempt at the password of *name* from *address*, or raise `TooManyRequests`.

        Names without an account are treated like any other.
        """
        attempt = self._first_attempt(name, address)
        with unavailable_without_redis():
            wait, known, failed = await self._check(
                keys=attempt.keys, args=(self._clock(), attempt.address, *self._limits.as_arguments())
            )
        if float(wait) > 0:
            raise TooManyRequests(
                "Too many wrong passwords. Please try again later.", retry_after=math.ceil(float(wait))
            )
        return replace(attempt, settled=bool(known) and not failed)

    async def failed(self, attempt: Attempt) -> None:
        """Count a wrong password."""
        with unavailable_without_redis():
            await self._failed(keys=attempt.keys[:3], args=(self._clock(), *self._limits.as_arguments()))

    async def succeeded(self, attempt: Attempt) -> None:
        """Empty the pair's bucket and remember the address. The other buckets only empty with time."""
        if attempt.settled:
            return
        with unavailable_without_redis():
            await self._succeeded(
                keys=(attempt.keys[0], attempt.keys[3]),
                args=(self._clock(), attempt.address, KNOWN_ADDRESSES, KNOWN_SECONDS),
            )

    async def registered(self, name: str, address: str) -> None:
        """Remember that *address* is where *name* was registered."""
        await self.succeeded(self._first_attempt(name, address))

    def _first_attempt(self, name: str, address: str) -> Attempt:
        account, place = self._hidden("account", comparable_name(name)), self._hidden("address", site_of(address))
        keys = (
            f"auth:guesses:{account}:{place}",
            f"auth:guesses:{place}",
            f"auth:guesses:{account}",
            f"auth:known:{account}",
        )
        return Attempt(keys, place, settled=False)

    def _hidden(self, kind: str, text: str) -> str:
        return hmac.new(self._key, f"{kind} {text}".encode(), hashlib.sha256).hexdigest()[:32]
