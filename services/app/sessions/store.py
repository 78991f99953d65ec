"""The protocol of session stores."""

from collections.abc import Mapping
from typing import Protocol

from services.app.sessions.key import SessionKey
from services.common.devices import LoginLimit


class SessionStore(Protocol):
    """Keeps encoded sessions. Every method raises `Unavailable` if the store does not respond. *ttl* is in seconds."""

    async def create(self, key: SessionKey, raw: bytes, ttl: float, limit: LoginLimit, replaced: bytes = b"") -> bool:
        """Store a new session in place of the owner's session *replaced*, atomically.

        *limit* holds under concurrent logins, too. Returns False, and does nothing, if it denies the session.
        """

    async def read(self, key: SessionKey) -> bytes | None:
        """Return the session, or None if it does not exist."""

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        """Write *new* if *old* is still stored, atomically. Otherwise, do nothing and return False."""

    async def delete(self, key: SessionKey) -> bool:
        """Delete the session. Returns False if it did not exist."""

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the owner's sessions by id; some may have expired."""

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Delete the owner's sessions except *keep*, or with *until* only those created by that Unix time.

        Returns their number, not counting expired ones.
        """
