"""What a session is, and the text that it is kept as: in memory, in Redis and in an encrypted cookie alike."""

import base64
import functools
import hashlib
import logging
import math
import secrets
from typing import Any, NamedTuple

import msgspec

from services.app.strategy import User
from services.common.devices import Device

log = logging.getLogger(__name__)

REMEMBERED = 2048  # cookies whose keys, and texts whose states, are not worked out anew each time
OWNER, SECRET = 22, 43  # characters of base64url: 128 bits that stand for the user, 256 random bits
SECRET_BYTES = 32


class State(NamedTuple):
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


class Lifetimes(NamedTuple):
    """How long sessions live, in seconds: since the last use, and since the login."""

    idle: int
    absolute: int

    @property
    def grain(self) -> float:
        """A use is not noted more often than this: reads stay reads, and the idle timeout is imprecise by so much."""
        return self.idle / 60

    def used(self, state: State, now: float, values: dict[str, Any] | None = None) -> State:
        """Return *state* as after a use *now*, with *values* if given."""
        ends = min(now + self.idle, state.created + self.absolute)
        return state._replace(expires=math.ceil(ends), seen=int(now), values=state.values if values is None else values)

    def begun(self, user: User, device: Device, created: float, now: float, values: dict[str, Any]) -> State:
        """Return the state of a session that begins *now*."""
        shortened = math.floor(created * 1000) / 1000  # never later than it was: an ending of then would miss it
        return self.used(State(0, 0, shortened, user, device, values), now)


# msgspec checks every type, in a quarter of pydantic's time.
_decode = functools.lru_cache(REMEMBERED)(msgspec.json.Decoder(State).decode)
encode = msgspec.json.Encoder().encode
"""Returns a state as a JSON array."""


def decode(raw: bytes | str | None) -> State | None:
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


class Key(msgspec.Struct, frozen=True):
    """Where a session is kept. *owner* stands for its user; *id* names it among the owner's, and is no secret."""

    owner: str
    id: bytes


def owner_of(user_id: str) -> str:
    """Return what stands for a user: all of his sessions are kept under it. 128 bits as 22 characters of base64url."""
    return base64.urlsafe_b64encode(_hashed(user_id))[:OWNER].decode()


def new_cookie(user_id: str) -> str:
    """Return a new cookie's value: whose session it is, and 256 bits that nobody can guess."""
    return owner_of(user_id) + secrets.token_urlsafe(SECRET_BYTES)


@functools.lru_cache(REMEMBERED)
def key_of(cookie: str) -> Key:
    """Return where the session of *cookie* is kept. The store has its hash only: who reads it cannot log in."""
    return Key(cookie[:OWNER], _hashed(cookie))


def _hashed(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
