"""Sessions in the memory of this process: fast, lost with the process, and unknown to the other replicas."""

from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web

from services.app.sessions.key import SessionKey, owner_of
from services.app.sessions.state import decode
from services.common.background import repeating
from services.common.devices import LoginLimit

SWEEP_SECONDS = 10.0


class MemorySessionStore:
    """A `SessionStore` for *limit* sessions; beyond this, the one unused for longest ends. *clock* returns Unix time.

    Sessions are kept encoded, which takes less memory than objects and spares the garbage collector. Every write moves
    a session to the end, so the first ones have been unused for longest and are the first to expire. (The absolute
    timeout is enforced when a session is read.)
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._sessions: dict[bytes, bytes] = {}
        self._ids: dict[str, tuple[bytes, ...]] = {}
        """the session ids of each owner, most recently written last"""
        self._limit = limit
        self._clock = clock

    def __len__(self) -> int:
        return len(self._sessions)

    async def create(self, key: SessionKey, raw: bytes, ttl: float, limit: LoginLimit, replaced: bytes = b"") -> bool:  # noqa: ARG002  # the expiry is in *raw*
        """Store a new session."""
        self._sweep(key.owner)
        ids = [id_ for id_ in self._ids.get(key.owner, ()) if id_ != replaced]
        if len(ids) >= limit.most and limit.policy == "deny":
            return False
        for id_ in ids[: max(0, len(ids) + 1 - limit.most)]:
            self._forget(SessionKey(key.owner, id_))
        self._forget(SessionKey(key.owner, replaced))
        if len(self._sessions) >= self._limit:
            self._forget_first()
        self._write(key, raw)
        return True

    async def read(self, key: SessionKey) -> bytes | None:
        """Return the session."""
        return self._sessions.get(key.id)

    async def replace(self, key: SessionKey, old: bytes, new: bytes, ttl: float) -> bool:  # noqa: ARG002  # it is in *new*
        """Write *new* if *old* is stored."""
        if self._sessions.get(key.id) != old:
            return False
        self._forget(key)
        self._write(key, new)
        return True

    async def delete(self, key: SessionKey) -> bool:
        """Delete the session."""
        return self._forget(key)

    async def all_of(self, owner: str) -> Mapping[bytes, bytes]:
        """Return the owner's sessions."""
        return {id_: self._sessions[id_] for id_ in self._ids.get(owner, ())}

    async def end_all(self, owner: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """Delete the owner's sessions except *keep*."""
        self._sweep(owner)
        ended = [id_ for id_ in self._ids.get(owner, ()) if id_ != keep and self._began_by(id_, until)]
        for id_ in ended:
            self._forget(SessionKey(owner, id_))
        return len(ended)

    def sweep(self) -> None:
        """Delete expired sessions, starting with the one unused for longest."""
        while self._sessions and self._expired(next(iter(self._sessions))):
            self._forget_first()

    async def swept(self, _: web.Application, every: float = SWEEP_SECONDS) -> AsyncIterator[None]:
        """Sweep in the background while the application runs (for `cleanup_ctx`)."""

        async def sweep() -> float:
            self.sweep()
            return every

        async with repeating(sweep, first_after=every):
            yield

    def _write(self, key: SessionKey, raw: bytes) -> None:
        self._sessions[key.id] = raw
        self._ids[key.owner] = (*self._ids.get(key.owner, ()), key.id)

    def _forget(self, key: SessionKey) -> bool:
        if key.id not in self._ids.get(key.owner, ()):
            return False
        del self._sessions[key.id]
        left = tuple(id_ for id_ in self._ids.pop(key.owner) if id_ != key.id)
        if left:
            self._ids[key.owner] = left
        return True

    def _forget_first(self) -> None:
        id_, raw = next(iter(self._sessions.items()))
        state = decode(raw)
        assert state is not None  # noqa: S101  # we encoded it
        self._forget(SessionKey(owner_of(state.user.id), id_))

    def _sweep(self, owner: str) -> None:
        for id_ in self._ids.get(owner, ()):
            if self._expired(id_):
                self._forget(SessionKey(owner, id_))

    def _expired(self, id_: bytes) -> bool:
        state = decode(self._sessions[id_])
        return state is None or state.expires <= self._clock()

    def _began_by(self, id_: bytes, until: float | None) -> bool:
        state = decode(self._sessions[id_])
        return until is None or state is None or state.created <= until
