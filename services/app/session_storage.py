"""Sessions on the server: aiohttp-session's storage, over a store that compares before it writes.

What aiohttp-session's own storages leave open is closed here, for every store alike: a login gets a new id and its
old one dies, logout deletes, an id that was never issued is not adopted, a write in flight revives nothing and loses
nothing, idle and absolute timeouts hold.
"""

import re
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from aiohttp import web
from aiohttp_session import AbstractStorage, Session

from services.app.strategy import User
from services.common.problems import Unavailable

IDENTITY = re.compile(r"[A-Za-z0-9_-]{43}")  # secrets.token_urlsafe(32)
ATTEMPTS = 200  # each failed one is another request's success


class State(NamedTuple):
    """A session as stored. *created* and *seen* (last use) in Unix time, *values* by name; never changed in place."""

    created: float
    seen: float
    user: User
    values: dict[str, Any]


class Store(Protocol):
    """Where states are kept. Every call raises `Unavailable` if the store does not answer. *ttl* in seconds."""

    async def create(self, identity: str, state: State, ttl: float) -> None:
        """Keep a new session."""

    async def read(self, identity: str) -> State | None:
        """Return the session, or None if there is none (any more)."""

    async def replace(self, identity: str, old: State, new: State, ttl: float) -> bool:
        """Write *new* in one step if *old* is still what is stored; else do nothing and return False."""

    async def delete(self, identity: str) -> None:
        """Forget the session. An unknown id is no error."""


class Lifetimes(NamedTuple):
    """How long sessions live, in seconds: since the last use, and since the login."""

    idle: int
    absolute: int


class SessionStorage(AbstractStorage):
    """aiohttp-session's storage over *store*. *clock* returns Unix time."""

    def __init__(
        self, store: Store, lifetimes: Lifetimes, *, cookie_name: str, secure: bool, clock: Callable[[], float]
    ) -> None:
        name = f"__Host-{cookie_name}" if secure else cookie_name
        super().__init__(cookie_name=name, secure=secure, samesite="Lax")
        self._store = store
        self._lifetimes = lifetimes
        self._clock = clock
        self._grain = lifetimes.idle / 60  # a use is not noted more often: reads stay reads, the timeout this imprecise

    async def load_session(self, request: web.Request) -> Session:
        """Return the request's session, or a new one."""
        identity = self.identity(request)
        state = await self._read(identity) if identity else None
        if identity is None or state is None:
            return await self.new_session()
        if self._clock() - state.seen >= self._grain:
            await self._replace(identity, state, state.values)
        return Session(identity, data={"session": {"user": state.user, **state.values}}, new=False)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Write what changed. A new session takes the place of the one in the request, an empty one ends it."""
        if session.new or session.empty:
            await self._end(request)
        if session.empty:
            self._delete_cookie(response)
        elif session.new:
            self.save_cookie(response, await self._begin(dict(session)))
        else:
            await self.change(str(session.identity), lambda values: values | _without_user(session))

    async def change(self, identity: str, make: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any] | None:
        """Replace the session's values by what *make* returns for them, as one step; None if the session has ended.

        *make* is called again if another request wrote meanwhile, so that no write is lost.
        """
        for _ in range(ATTEMPTS):
            state = await self._read(identity)
            if state is None:
                return None
            values = make(state.values)
            if await self._replace(identity, state, values):
                return values
        raise Unavailable("Too many requests write to this session at once.")

    def identity(self, request: web.Request) -> str | None:
        """Return the session id that the request carries if it looks like one of ours; it may be dead or invented."""
        cookie = self.load_cookie(request)
        return cookie if cookie and IDENTITY.fullmatch(cookie) else None

    async def _begin(self, mapping: dict[str, Any]) -> str:
        identity, now = secrets.token_urlsafe(32), self._clock()
        state = State(now, now, mapping.pop("user"), mapping)
        await self._store.create(identity, state, self._ttl(now, now))
        return identity

    async def _end(self, request: web.Request) -> None:
        if identity := self.identity(request):
            await self._store.delete(identity)

    async def _read(self, identity: str) -> State | None:
        """Return the state if neither timeout has passed. The store's own expiry just frees the room."""
        state = await self._store.read(identity)
        return state if state and self._ttl(state.created, state.seen) > 0 else None

    async def _replace(self, identity: str, state: State, values: dict[str, Any]) -> bool:
        now = self._clock()
        new = State(state.created, now, state.user, values)
        return await self._store.replace(identity, state, new, self._ttl(state.created, now))

    def _ttl(self, created: float, seen: float) -> float:
        return min(seen + self._lifetimes.idle, created + self._lifetimes.absolute) - self._clock()

    def _delete_cookie(self, response: web.StreamResponse) -> None:
        """Browsers ignore the deletion of a `__Host-` cookie that lacks its attributes (S9)."""
        response.del_cookie(
            self.cookie_name, path="/", secure=self.cookie_params["secure"], httponly=True, samesite="Lax"
        )


def _without_user(session: Session) -> dict[str, Any]:
    return {name: value for name, value in session.items() if name != "user"}
