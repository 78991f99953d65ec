"""Turns a session's cookie into the key of the stored session."""

import base64
import hashlib
import secrets

import msgspec

OWNER, SECRET = 22, 43  # characters of base64url: 128 bits that identify the user, 256 random bits
SECRET_BYTES = 32


class SessionKey(msgspec.Struct, frozen=True):
    """The key of a stored session. *owner* identifies the user, *id* one of their sessions; neither is secret."""

    owner: str
    id: bytes


def owner_of(user_id: str) -> str:
    """Return the owner of a user's sessions: 128 bits of a hash, as 22 characters of base64url."""
    return base64.urlsafe_b64encode(_hashed(user_id))[:OWNER].decode()


def new_cookie(user_id: str) -> str:
    """Return the value of a new cookie: the session's owner, followed by 256 random bits."""
    return owner_of(user_id) + secrets.token_urlsafe(SECRET_BYTES)


def key_of(cookie: str) -> SessionKey:
    """Return the key of the session of *cookie*. The id is a hash, so that nobody who reads the store can log in."""
    return SessionKey(cookie[:OWNER], _hashed(cookie))


def _hashed(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
