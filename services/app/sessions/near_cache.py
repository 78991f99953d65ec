"""Sessions in Redis, cached in each replica until Redis reports a change (`CLIENT TRACKING`)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from services.app.redis_link.link import RedisLink
from services.app.sessions.key import SessionKey
from services.app.sessions.redis_store import RedisSessionStore
from services.common.devices import LoginLimit

TRUST_SECONDS = 1.0  # since Redis last answered: no cached session is more outdated than this


class NearCache:
    """Caches the sessions of up to *limit* users that were read over *link*, until Redis reports a change over it.

    Answers and reports arrive on one connection, in the order in which they happened in Redis. Each is handled as it
    arrives, before the request that waits for it continues, so an old session is never cached after its change was
    reported. If the connection is lost, or silent for `TRUST_SECONDS`, the cache is not used.
    """

    def __init__(self, link: RedisLink, limit: int) -> None:
        self._link = link
        self._limit = limit
        self._users: dict[str, dict[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._users)

    def get(self, user: str, session: bytes) -> bytes | None:
        """Return the cached session, if it can still be trusted."""
        sessions = self._users.get(user)
        return sessions.get(session) if sessions and self._link.confirmed_within(TRUST_SECONDS) else None

    def keep(self, user: str, session: bytes, answer: Any) -> None:
        """Cache an answer as it arrives. Missing sessions are not cached, because anybody can ask for them."""
        if not isinstance(answer, bytes):
            return
        if user not in self._users and len(self._users) >= self._limit:
            del self._users[next(iter(self._users))]
        self._users.setdefault(user, {})[session] = answer

    def drop(self, user: str) -> None:
        """Remove a user's sessions."""
        self._users.pop(user, None)

    def changed(self, message: list[Any]) -> None:
        """Remove what Redis reports: `[invalidate, [key, …]]`, or `[invalidate, None]` if all keys were deleted."""
        if message[0] != b"invalidate":
            return
        if message[1] is None:
            self._users.clear()
        for key in message[1] or ():
            self.drop(key.decode("ascii", "replace"))

    def clear(self) -> None:
        """Remove everything."""
        self._users.clear()


class CachedSessionStore:
    """A `SessionStore` that caches what it reads from *sessions* over *link*."""

    def __init__(self, sessions: RedisSessionStore, link: RedisLink, cache: NearCache) -> None:
        self._sessions = sessions
        self._link = link
        self._cache = cache

    async def create(self, key: SessionKey, raw: bytes, ttl: float, limit: LoginLimit, replaced: bytes = b"") -> bool:
        """Store a new session."""
        try:
            return await self._sessions.create(key, raw, ttl, limit, replaced)
        finally:
            self._forget(key.owner)

    async def read(self, key: SessionKey) -> bytes | None:
        """Return the session, from the cache if possible."""
        user = self._sessions.key(key.owner)
        if raw := self._cache.get(user, key.id):
            return raw
        if not self._link.up:  # nobody would report changes, so do not cache
            return await self._sessions.read(key)
        return await self._sessions.read(key, self._link, partial(self._cache.keep, user, key.id))

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        """Write *new* if *old* is stored. The cached session is removed either way: it may be outdated."""
        try:
            return await self._sessions.replace(key, old, new, ttl)
        finally:
            self._forget(key.owner)

    async def delete(self, key: SessionKey) -> bool:
        """Delete the session."""
        try:
            return await self._sessions.delete(key)
        finally:
            self._forget(key.owner)

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the user's sessions, from Redis."""
        return await self._sessions.all_of(owner)

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Delete the user's sessions except *keep*."""
        try:
            return await self._sessions.end_all(owner, keep=keep, until=until)
        finally:
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        """Make this replica see its own writes: Redis may report them a moment after it has answered."""
        self._cache.drop(self._sessions.key(owner))
