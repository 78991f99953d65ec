"""Sessions in Redis that each replica remembers until Redis says that they changed (`CLIENT TRACKING`)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from services.app.redis_link.link import RedisLink
from services.app.sessions.key import SessionKey
from services.app.sessions.redis_store import RedisSessionStore
from services.common.devices import LoginLimit

TRUST_SECONDS = 1.0  # since the last sign of life from Redis: no remembered session is older news than this


class NearCache:
    """What was read of *limit* users' sessions, at most, until it changes: Redis tells over the link it was read by.

    Answers and changes come on one connection, in the order in which they happened in Redis; each is dealt with as it
    arrives, before anybody who waits for it goes on. So nothing old can be put in after its change was told. When the
    connection is lost, or was silent for `TRUST_SECONDS`, nothing that is remembered counts.
    """

    def __init__(self, link: RedisLink, limit: int) -> None:
        self._link = link
        self._limit = limit
        self._users: dict[str, dict[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._users)

    def get(self, user: str, session: bytes) -> bytes | None:
        """Return what is remembered, if it still can be believed."""
        sessions = self._users.get(user)
        return sessions.get(session) if sessions and self._link.confirmed_within(TRUST_SECONDS) else None

    def keep(self, user: str, session: bytes, answer: Any) -> None:
        """Remember an answer at its arrival. That there is no such session is not remembered: anybody can ask that."""
        if not isinstance(answer, bytes):
            return
        if user not in self._users and len(self._users) >= self._limit:
            del self._users[next(iter(self._users))]
        self._users.setdefault(user, {})[session] = answer

    def drop(self, user: str) -> None:
        """Forget a user's sessions."""
        self._users.pop(user, None)

    def changed(self, message: list[Any]) -> None:
        """Forget what Redis says: `[invalidate, [key, …]]`, or `[invalidate, None]` when all keys went."""
        if message[0] != b"invalidate":
            return
        if message[1] is None:
            self._users.clear()
        for key in message[1] or ():
            self.drop(key.decode("ascii", "replace"))

    def clear(self) -> None:
        """Forget everything."""
        self._users.clear()


class CachedSessionStore:
    """A `SessionStore`: *sessions*, and a near-cache of what is read there over *link*."""

    def __init__(self, sessions: RedisSessionStore, link: RedisLink, cache: NearCache) -> None:
        self._sessions = sessions
        self._link = link
        self._cache = cache

    async def create(self, key: SessionKey, raw: bytes, ttl: float, limit: LoginLimit, replaced: bytes = b"") -> bool:
        """Keep a new session."""
        try:
            return await self._sessions.create(key, raw, ttl, limit, replaced)
        finally:
            self._forget(key.owner)

    async def read(self, key: SessionKey) -> bytes | None:
        """Return the session, from here if possible."""
        user = self._sessions.key(key.owner)
        if raw := self._cache.get(user, key.id):
            return raw
        if not self._link.up:  # a plain look-up then, which nobody would tell us changes of
            return await self._sessions.read(key)
        return await self._sessions.read(key, self._link, partial(self._cache.keep, user, key.id))

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:
        """Write *new* if *old* is what is stored; what is remembered may be why it is not, so it is forgotten."""
        try:
            return await self._sessions.replace(key, old, new, ttl)
        finally:
            self._forget(key.owner)

    async def delete(self, key: SessionKey) -> bool:
        """Forget the session."""
        try:
            return await self._sessions.delete(key)
        finally:
            self._forget(key.owner)

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the user's sessions, from Redis."""
        return await self._sessions.all_of(owner)

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Forget the user's sessions but *keep*."""
        try:
            return await self._sessions.end_all(owner, keep=keep, until=until)
        finally:
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        """Let this replica see its own writes: Redis' word may come a moment after the write's answer."""
        self._cache.drop(self._sessions.key(owner))
