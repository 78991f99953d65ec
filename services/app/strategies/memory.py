"""Sessions in this process' memory: fast, lost with the process, unknown to the other replicas."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from aiohttp import web

from services.app.parts import Parts
from services.app.session_storage import State
from services.app.sessions import SessionStrategy, session_strategy
from services.app.strategy import Capability, Info, Kind

SWEEP_SECONDS = 10.0


class _Entry(NamedTuple):
    state: State
    expires: float


class MemorySessions:
    """A `Store` of at most *limit* sessions; above, the one unused for longest ends. *clock* returns Unix time.

    Every write moves a session to the end, so the first ones are those unused for longest, and the first to expire
    (but for the absolute timeout, which is enforced when a session is read).
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._entries: dict[str, _Entry] = {}
        self._limit = limit
        self._clock = clock

    def __len__(self) -> int:
        return len(self._entries)

    async def create(self, identity: str, state: State, ttl: float) -> None:
        """Keep a new session for *ttl* seconds."""
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[identity] = _Entry(state, self._clock() + ttl)

    async def read(self, identity: str) -> State | None:
        """Return the session."""
        entry = self._entries.get(identity)
        return entry.state if entry else None

    async def replace(self, identity: str, old: State, new: State, ttl: float) -> bool:
        """Write *new* if *old* is what is stored."""
        entry = self._entries.get(identity)
        if entry is None or entry.state is not old:
            return False
        del self._entries[identity]
        self._entries[identity] = _Entry(new, self._clock() + ttl)
        return True

    async def delete(self, identity: str) -> None:
        """Forget the session."""
        self._entries.pop(identity, None)

    def sweep(self) -> None:
        """Forget expired sessions, from the one unused for longest."""
        now = self._clock()
        while self._entries:
            first = next(iter(self._entries))
            if self._entries[first].expires > now:
                return
            del self._entries[first]

    async def swept(self, _: web.Application, every: float = SWEEP_SECONDS) -> AsyncIterator[None]:
        """Sweep in the background while the application runs (for `cleanup_ctx`)."""
        task = asyncio.create_task(self._sweep_for_ever(every))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _sweep_for_ever(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            self.sweep()


def create(name: str, parts: Parts, area: web.Application) -> SessionStrategy:
    """Return the strategy, with a store of its own in this process."""
    store = MemorySessions(parts.settings.memory_max_sessions, parts.clock)
    area.cleanup_ctx.append(store.swept)
    info = Info(
        name,
        Kind.SESSION,
        f"/{name}/login",
        "Sessions in each replica's memory; the load balancer keeps a user on one replica",
        frozenset({Capability.VISITS, Capability.LOGOUT}),
    )
    return session_strategy(info, store, parts)
