"""How often somebody may be wrong about a password: counted in Redis, for all auth processes together.

Only failures count, so that nothing limits whoever knows their password. There are three buckets, each of which takes
`burst` failures at once and empties by one in `refill` seconds (a leaky bucket; what is kept is when it will be empty):

    pair      account and address   somebody guesses one account
    address                         somebody tries a few passwords on many accounts
    account                         many addresses guess one account

The last two do not concern an address from which that account was logged in before: a guesser elsewhere, or behind the
same address, cannot lock its owner out. Reasons: docs/adr/0008-guess-limits.md.
"""

import hashlib
import hmac
import ipaddress
import math
from dataclasses import dataclass, field
from typing import NamedTuple

from redis.asyncio import Redis

from services.auth.clock import Clock
from services.auth.family_store import told_when_away
from services.common.problems import TooManyRequests
from services.common.redis_client import repeated

KNOWN_ADDRESSES, KNOWN_SECONDS = 20, 90 * 24 * 60 * 60
IPV6_SITE_BITS = 64  # one subscriber has at least so many addresses

# Returns the seconds to wait (0: go on), whether the address is known, and whether the pair has failures.
CHECK = """
local now = tonumber(ARGV[1])
local known = redis.call('ZSCORE', KEYS[4], ARGV[2])
local wait, failed = 0, redis.call('EXISTS', KEYS[1])
for i = 1, 3 do
    local burst, refill = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
    if i == 1 or not known then
        local full = (tonumber(redis.call('GET', KEYS[i]) or 0) - now) - (burst - 1) * refill
        if full > wait then wait = full end
    end
end
return {tostring(wait), known and 1 or 0, failed}
"""

# Checks that were under way together may all fail: a bucket holds up to twice its burst, and empties no faster.
FAILED = """
local now = tonumber(ARGV[1])
for i = 1, 3 do
    local burst, refill = tonumber(ARGV[2 * i]), tonumber(ARGV[1 + 2 * i])
    local empty = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + refill
    empty = math.min(empty, now + 2 * burst * refill)
    redis.call('SET', KEYS[i], string.format('%.3f', empty), 'PX', math.ceil((empty - now) * 1000))
end
"""

SUCCEEDED = """
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[4])
"""


class Bucket(NamedTuple):
    """Takes *burst* failures at once, and another one every *refill* seconds."""

    burst: int
    refill: float


class Limits(NamedTuple):
    """The three buckets."""

    pair: Bucket = Bucket(10, 60)
    address: Bucket = Bucket(100, 6)
    account: Bucket = Bucket(100, 10)

    def as_arguments(self) -> tuple[float, ...]:
        """Return them in the scripts' order."""
        return (*self.pair, *self.address, *self.account)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that was let through. *settled*: a success is nothing new."""

    keys: tuple[str, str, str, str] = field(repr=False)
    address: str = field(repr=False)
    settled: bool


class GuessLimits:
    """The counts. Every call raises `Unavailable` when Redis does not answer. *key* hides names and addresses in it."""

    def __init__(self, redis: Redis, key: bytes, limits: Limits, clock: Clock) -> None:
        self._key = key
        self._limits = limits
        self._clock = clock
        self._check = redis.register_script(CHECK)
        self._failed = redis.register_script(FAILED)
        self._succeeded = redis.register_script(SUCCEEDED)

    async def check(self, name: str, address: str) -> Attempt:
        """Return if the password of *name* may be tried from *address* now, else raise `TooManyRequests`.

        A name that nobody has is treated like any other.
        """
        account, place = self._hidden("account", name), self._hidden("address", _site(address))
        keys = (
            f"auth:guess:{account}:{place}",
            f"auth:guess:{place}",
            f"auth:guess:{account}",
            f"auth:known:{account}",
        )
        with told_when_away():
            args: tuple[float | str, ...] = (self._clock(), place, *self._limits.as_arguments())
            wait, known, failed = await repeated(lambda: self._check(keys=keys, args=args))
        if float(wait) > 0:
            raise TooManyRequests("Too many wrong passwords.", retry_after=math.ceil(float(wait)))
        return Attempt(keys, place, settled=bool(known) and not failed)

    async def failed(self, attempt: Attempt) -> None:
        """Count a wrong password."""
        with told_when_away():
            await self._failed(keys=attempt.keys[:3], args=(self._clock(), *self._limits.as_arguments()))

    async def succeeded(self, attempt: Attempt) -> None:
        """Forget the pair's failures and remember the address; the other buckets empty by themselves alone."""
        if attempt.settled:
            return
        with told_when_away():
            await self._succeeded(
                keys=(attempt.keys[0], attempt.keys[3]),
                args=(self._clock(), attempt.address, KNOWN_ADDRESSES, KNOWN_SECONDS),
            )

    def _hidden(self, kind: str, text: str) -> str:
        return hmac.new(self._key, f"{kind} {text}".encode(), hashlib.sha256).hexdigest()[:32]


def _site(address: str) -> str:
    """Return what is counted as one address: in IPv6, the network that a subscriber gets."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
