"""From a session's cookie to where the session is kept."""

import base64
import functools
import hashlib
import secrets

import msgspec

REMEMBERED = 2048  # cookies whose keys are not worked out anew each time
OWNER, SECRET = 22, 43  # characters of base64url: 128 bits that stand for the user, 256 random bits
SECRET_BYTES = 32


class SessionKey(msgspec.Struct, frozen=True):
    """Where a session is kept. *owner* stands for its user; *id* names it among the owner's, and is no secret."""

    owner: str
    id: bytes


def owner_of(user_id: str) -> str:
    """Return what stands for a user, and their sessions are kept under: 128 bits as 22 characters of base64url."""
    return base64.urlsafe_b64encode(_hashed(user_id))[:OWNER].decode()


def new_cookie(user_id: str) -> str:
    """Return a new cookie's value: whose session it is, and 256 bits that nobody can guess."""
    return owner_of(user_id) + secrets.token_urlsafe(SECRET_BYTES)


@functools.lru_cache(REMEMBERED)
def key_of(cookie: str) -> SessionKey:
    """Return where the session of *cookie* is kept. The store has its hash only: who reads it cannot log in."""
    return SessionKey(cookie[:OWNER], _hashed(cookie))


def _hashed(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
