"""What a session holds, and how it is encoded: in memory, in Redis and in an encrypted cookie alike."""

import logging
import math
from typing import Any, NamedTuple

import msgspec

from services.app.strategy import User
from services.common.devices import Device

log = logging.getLogger(__name__)


class SessionState(NamedTuple):
    """A session as stored. Never change it in place.

    All times are Unix times. *expires* and *seen* (last use) come first, because Redis reads them as well
    (`redis_store`); whole seconds are precise enough. *created* is when the password was checked, by the auth service's
    clock.
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
        """Seconds between recorded uses: most reads cause no write, and the idle timeout is imprecise by as much."""
        return self.idle / 60

    def used(self, state: SessionState, now: float, values: dict[str, Any] | None = None) -> SessionState:
        """Return *state* after a use *now*, with new *values* if given."""
        ends = min(now + self.idle, state.created + self.absolute)
        return state._replace(expires=math.ceil(ends), seen=int(now), values=state.values if values is None else values)

    def begun(self, user: User, device: Device, created: float, now: float, values: dict[str, Any]) -> SessionState:
        """Return the state of a session that begins *now*."""
        shortened = math.floor(created * 1000) / 1000  # rounded down, or a revocation could miss it
        return self.used(SessionState(0, 0, shortened, user, device, values), now)


# msgspec checks every type, in a quarter of pydantic's time.
_decode = msgspec.json.Decoder(SessionState).decode
encode = msgspec.json.Encoder().encode
"""Returns a state as a JSON array."""


def decode(raw: bytes | str | None) -> SessionState | None:
    """Return the state, or None if *raw* is not a session, which is logged. Its user is then logged out.

    Callers may share the object: never change its values in place.
    """
    if raw is None:
        return None
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, ValueError) as error:  # a ValueError: not UTF-8
        log.error("unexpected value in place of a session; treating the user as logged out: %s", type(error).__name__)  # noqa: TRY400
        return None
