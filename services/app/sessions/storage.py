"""Sessions on the server: aiohttp-session's storage interface, over a store that compares before it writes.

It provides what aiohttp-session's own storages do not, for every store alike: a login gets a new id and ends the old
session, a logout deletes the session, unknown ids are not adopted, a concurrent write neither revives a session nor
loses a change, and idle and absolute timeouts are enforced.
"""

import copy
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp_session import AbstractStorage, Session

from services.app.sessions.cookie import SessionCookie
from services.app.sessions.key import SessionKey, key_of, new_cookie, owner_of
from services.app.sessions.state import SessionLifetimes, SessionState, decode, encode
from services.app.sessions.store import SessionStore
from services.common.devices import LoginLimit
from services.common.http.problems import Unavailable

log = logging.getLogger(__name__)

ATTEMPTS = 200  # whenever one fails, another request has succeeded
RESERVED = frozenset({"user", "device", "created"})  # what a session holds besides its values


class Found(msgspec.Struct, frozen=True):
    """A session, and the bytes that it was decoded from."""

    key: SessionKey
    raw: bytes
    state: SessionState


class SessionStorage(AbstractStorage):
    """aiohttp-session's storage over *store*. *clock* returns Unix time.

    *remembered*: the number of cookies for which what was read is not worked out again as long as the store returns the
    very same bytes. Worth it for a store that remembers what it returns.
    """

    def __init__(
        self,
        store: SessionStore,
        lifetimes: SessionLifetimes,
        limit: LoginLimit,
        cookie: SessionCookie,
        clock: Callable[[], float],
        remembered: int = 0,
    ) -> None:
        super().__init__(cookie_name=cookie.name)
        self._store = store
        self._lifetimes = lifetimes
        self._grain = lifetimes.grain
        self._limit = limit
        self._cookie = cookie
        self._clock = clock
        self._remembered = remembered
        self._known: dict[str, Found] = {}

    async def find(self, request: web.Request) -> Found | None:
        """Return the first valid session among the request's cookies. Its use is recorded now and then."""
        for cookie in self._cookie.candidates(request):
            found = self._known.get(cookie)
            key = found.key if found else key_of(cookie)
            raw, now = await self._store.read(key), self._clock()
            if found is None or found.raw is not raw:
                found = self._remember(cookie, _decoded(key, raw))
            if found and found.state.expires > now:
                if now - found.state.seen >= self._grain:
                    await self._touch(found)
                return found
        return None

    def _remember(self, cookie: str, found: Found | None) -> Found | None:
        if found and self._remembered:
            if len(self._known) >= self._remembered:
                del self._known[next(iter(self._known))]
            self._known[cookie] = found
        return found

    async def change(
        self, request: web.Request, make: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> SessionState | None:
        """Replace the session's values with what *make* returns for them, atomically. Returns None without a session.

        *make* is called again if another request has written in the meantime, so that no write is lost.
        """
        for cookie in self._cookie.candidates(request):
            if state := await self._change(key_of(cookie), make):
                return state
        return None

    async def _change(self, key: SessionKey, make: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionState | None:
        for _ in range(ATTEMPTS):
            found, now = _decoded(key, await self._store.read(key)), self._clock()
            if found is None or found.state.expires <= now:
                return None
            new = self._lifetimes.used(found.state, now, make(found.state.values))
            if await self._store.replace(key, found.raw, encode(new), new.expires - now):
                return new
        raise Unavailable("Too many concurrent changes to this session. Please try again.")

    async def sessions_of(self, owner: str) -> dict[bytes, SessionState]:
        """Return the owner's valid sessions by id."""
        raw = await self._store.all_of(owner)
        states = {id_: decode(text) for id_, text in raw.items()}
        now = self._clock()
        return {id_: state for id_, state in states.items() if state and state.expires > now}

    async def end(self, key: SessionKey) -> bool:
        """End one session. Returns False if there is none."""
        return await self._store.delete(key)

    async def end_all(self, user_id: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """End a user's sessions except *keep*, or with *until* only those created by then. Returns their number."""
        return await self._store.end_all(owner_of(user_id), keep=keep, until=until)

    async def load_session(self, request: web.Request) -> Session:
        """Return the request's session, or a new one (called by aiohttp-session)."""
        found = await self.find(request)
        if found is None:
            return await self.new_session()
        return as_session(found.key, found.state)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Store *session*. A new session replaces the request's own, an empty one ends it.

        A new session must have `user`, `device` and `created`. Raises `Conflict` if the user has too many sessions.
        """
        if session.empty:
            await self.log_out(request, response)
        elif session.new:
            self._cookie.set(response, await self._begin(request, session))
        else:
            await self.change(request, lambda values: values | values_of(session))

    async def log_out(self, request: web.Request, response: web.StreamResponse) -> bool:
        """End the request's session and delete its cookie. Returns False if the cookie belongs to no session."""
        self._cookie.delete(response)
        ended = [await self._store.delete(key) for key in self._keys(request)]
        return any(ended) or not ended

    def _keys(self, request: web.Request) -> list[SessionKey]:
        return [key_of(cookie) for cookie in self._cookie.candidates(request)]

    async def _begin(self, request: web.Request, session: Session) -> str:
        """Store a new session and end the request's own. If storing fails, the old session remains."""
        user, now = session["user"], self._clock()
        state = self._lifetimes.begun(user, session["device"], session["created"], now, values_of(session))
        cookie = new_cookie(user.id)
        key, old = key_of(cookie), self._keys(request)
        replaced = await self._replaced(key.owner, old)
        if not await self._store.create(key, encode(state), state.expires - now, self._limit, replaced):
            raise self._limit.refusal()
        for one in old:
            if one.id != replaced:
                await self._store.delete(one)  # of another user of this browser
        return cookie

    async def _replaced(self, owner: str, old: list[SessionKey]) -> bytes:
        """Return the id of the owner's session among *old*, or `b""`. Among several, prefer one that exists."""
        own = [key for key in old if key.owner == owner]
        for key in own[:-1]:
            if await self._store.read(key):
                return key.id
        return own[-1].id if own else b""

    async def _touch(self, found: Found) -> None:
        """Record a use. If that fails, the request is answered all the same."""
        now = self._clock()
        state = self._lifetimes.used(found.state, now)
        try:
            await self._store.replace(found.key, found.raw, encode(state), state.expires - now)
        except Unavailable:
            log.warning("could not record the use of a session")


def _decoded(key: SessionKey, raw: bytes | None) -> Found | None:
    state = decode(raw)
    return Found(key, raw, state) if raw and state else None


def as_session(identity: Any, state: SessionState) -> Session:
    """Return *state* as a session of aiohttp-session."""
    known = {"user": state.user, "device": state.device, "created": state.created}
    values = copy.deepcopy(state.values)  # the caller may change it
    return Session(identity, data={"session": {**values, **known}}, new=False)


def values_of(session: Session) -> dict[str, Any]:
    """Return what a session holds besides `RESERVED`."""
    return {name: value for name, value in session.items() if name not in RESERVED}
