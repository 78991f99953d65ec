"""What a session is, and the text that it is kept as: in memory, in Redis and in an encrypted cookie alike."""

import functools
import logging
import math
from typing import Any, NamedTuple

import msgspec

from services.app.strategy import User
from services.common.devices import Device

log = logging.getLogger(__name__)

REMEMBERED = 2048  # texts whose states are not worked out anew each time


class SessionState(NamedTuple):
    """A session as stored; never changed in place. Unix times, those that nobody compares closely in whole seconds.

    *expires* and *seen* (last use) come first: Redis reads them as well (`redis_store`). *created* is when the
    password was found right, by the auth service's clock.
    """

    expires: int
    seen: int
    created: float
    user: User
    device: Device
    values: dict[str, Any]


class SessionLifetimes(NamedTuple):
    """How long sessions live, in seconds: since the last use, and since the login."""

    idle: int
    absolute: int

    @property
    def grain(self) -> float:
        """A use is not noted more often than this: reads stay reads, and the idle timeout is imprecise by so much."""
        return self.idle / 60

    def used(self, state: SessionState, now: float, values: dict[str, Any] | None = None) -> SessionState:
        """Return *state* as after a use *now*, with *values* if given."""
        ends = min(now + self.idle, state.created + self.absolute)
        return state._replace(expires=math.ceil(ends), seen=int(now), values=state.values if values is None else values)

    def begun(self, user: User, device: Device, created: float, now: float, values: dict[str, Any]) -> SessionState:
        """Return the state of a session that begins *now*."""
        shortened = math.floor(created * 1000) / 1000  # never later than it was: a revocation of then would miss it
        return self.used(SessionState(0, 0, shortened, user, device, values), now)


# msgspec checks every type, in a quarter of pydantic's time.
_decode = functools.lru_cache(REMEMBERED)(msgspec.json.Decoder(SessionState).decode)
encode = msgspec.json.Encoder().encode
"""Returns a state as a JSON array."""


def decode(raw: bytes | str | None) -> SessionState | None:
    """Return the state, or None. What is no state of ours counts as none: its user is logged out, as the log says.

    Others may get the same object: never change its values in place.
    """
    if raw is None:
        return None
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, ValueError) as error:  # a ValueError: not UTF-8
        log.error("a stored value is no session, its user is logged out: %s", type(error).__name__)  # noqa: TRY400
        return None
