"""What sessions are kept in."""

from collections.abc import Mapping
from typing import Protocol

from services.app.sessions.key import SessionKey
from services.common.devices import LoginLimit


class SessionStore(Protocol):
    """Where encoded states are kept. Every call raises `Unavailable` if the store cannot answer. *ttl* in seconds."""

    async def create(self, key: SessionKey, raw: bytes, ttl: float, limit: LoginLimit, replaced: bytes = b"") -> bool:
        """Keep a new session in the place of the owner's session *replaced*, in one step.

        It is within *limit* also when there are several at once. False, and nothing is done, if it was denied.
        """

    async def read(self, key: SessionKey) -> bytes | None:
        """Return the session, or None if there is none (any more)."""

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        """Write *new* in one step if *old* is still what is stored; else do nothing and return False."""

    async def delete(self, key: SessionKey) -> bool:
        """Forget the session. False if there was none."""

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the owner's sessions by id; some may have expired."""

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Forget the owner's sessions but *keep*; with *until*, only those created at that time or before.

        Returns how many there were, without those that had expired already.
        """
