"""Sessions on the server: aiohttp-session's storage, over a store that compares before it writes.

What aiohttp-session's own storages leave open is closed here, for every store alike: a login gets a new id and its
old one dies, logout deletes, an id that was never issued is not adopted, a write in flight revives nothing and loses
nothing, idle and absolute timeouts hold.
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

ATTEMPTS = 200  # each failed one is another request's success
RESERVED = frozenset({"user", "device", "created"})  # what a session says beside its own values


class Found(msgspec.Struct, frozen=True):
    """A session as read, and the very bytes that were read."""

    key: SessionKey
    raw: bytes
    state: SessionState


class SessionStorage(AbstractStorage):
    """aiohttp-session's storage over *store*. *clock* returns Unix time."""

    def __init__(
        self,
        store: SessionStore,
        lifetimes: SessionLifetimes,
        limit: LoginLimit,
        cookie: SessionCookie,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(cookie_name=cookie.name)
        self._store = store
        self._lifetimes = lifetimes
        self._grain = lifetimes.grain
        self._limit = limit
        self._cookie = cookie
        self._clock = clock

    async def find(self, request: web.Request) -> Found | None:
        """Return the request's session, the first good one, and note its use now and then."""
        for cookie in self._cookie.candidates(request):
            key, now = key_of(cookie), self._clock()
            if found := _good(key, await self._store.read(key), now):
                if now - found.state.seen >= self._grain:
                    await self._touch(found)
                return found
        return None

    async def change(
        self, request: web.Request, make: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> SessionState | None:
        """Replace the session's values by what *make* returns for them, as one step; None if there is no session.

        *make* is called again if another request wrote meanwhile, so that no write is lost.
        """
        for cookie in self._cookie.candidates(request):
            if state := await self._change(key_of(cookie), make):
                return state
        return None

    async def _change(self, key: SessionKey, make: Callable[[dict[str, Any]], dict[str, Any]]) -> SessionState | None:
        for _ in range(ATTEMPTS):
            now = self._clock()
            found = _good(key, await self._store.read(key), now)
            if found is None:
                return None
            new = self._lifetimes.used(found.state, now, make(found.state.values))
            if await self._store.replace(key, found.raw, encode(new), new.expires - now):
                return new
        raise Unavailable("Too many requests write to this session at once.")

    async def sessions_of(self, owner: str) -> dict[bytes, SessionState]:
        """Return the owner's good sessions by id."""
        raw = await self._store.all_of(owner)
        states = {id_: decode(text) for id_, text in raw.items()}
        now = self._clock()
        return {id_: state for id_, state in states.items() if state and state.expires > now}

    async def end(self, key: SessionKey) -> bool:
        """End one session; False if there is none."""
        return await self._store.delete(key)

    async def end_all(self, user_id: str, *, keep: bytes = b"", until: float | None = None) -> int:
        """End a user's sessions but *keep* (with *until*: those created by then) and return how many there were."""
        return await self._store.end_all(owner_of(user_id), keep=keep, until=until)

    async def load_session(self, request: web.Request) -> Session:
        """Return the request's session, or a new one (aiohttp-session's call)."""
        found = await self.find(request)
        if found is None:
            return await self.new_session()
        state = found.state
        known = {"user": state.user, "device": state.device, "created": state.created}
        values = copy.deepcopy(state.values)  # whoever loads a session may change it
        return Session(found.key, data={"session": {**values, **known}}, new=False)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Write what changed. A new session takes the place of the request's, an empty one ends it.

        A new one must say its `user`, `device` and when it was `created`. `Conflict` if the user has too many already.
        """
        if session.empty:
            await self.log_out(request, response)
        elif session.new:
            self._cookie.set(response, await self._begin(request, session))
        else:
            await self.change(request, lambda values: values | _values(session))

    async def log_out(self, request: web.Request, response: web.StreamResponse) -> bool:
        """End the request's session and delete its cookie. False if it brought one, and there is no such session."""
        self._cookie.delete(response)
        ended = [await self._store.delete(key) for key in self._keys(request)]
        return any(ended) or not ended

    def _keys(self, request: web.Request) -> list[SessionKey]:
        return [key_of(cookie) for cookie in self._cookie.candidates(request)]

    async def _begin(self, request: web.Request, session: Session) -> str:
        """Store a new session and end the request's own; if the new one cannot be, the old one goes on."""
        user, now = session["user"], self._clock()
        state = self._lifetimes.begun(user, session["device"], session["created"], now, _values(session))
        cookie = new_cookie(user.id)
        key, old = key_of(cookie), self._keys(request)
        replaced = await self._replaced(key.owner, old)
        if not await self._store.create(key, encode(state), state.expires - now, self._limit, replaced):
            raise self._limit.refusal()
        for one in old:
            if one.id != replaced:
                await self._store.delete(one)  # somebody else's, who used this browser before
        return cookie

    async def _replaced(self, owner: str, old: list[SessionKey]) -> bytes:
        """Return the id of the owner's session among *old*, or `b""`. Of several, one that is there."""
        own = [key for key in old if key.owner == owner]
        for key in own[:-1]:
            if await self._store.read(key):
                return key.id
        return own[-1].id if own else b""

    async def _touch(self, found: Found) -> None:
        """Note the use. Where that cannot be written just now, the answer is known all the same."""
        now = self._clock()
        state = self._lifetimes.used(found.state, now)
        try:
            await self._store.replace(found.key, found.raw, encode(state), state.expires - now)
        except Unavailable:
            log.warning("a session's use could not be noted")


def _good(key: SessionKey, raw: bytes | None, now: float) -> Found | None:
    """Return what was read if neither timeout has passed. The store's own expiry just frees the room."""
    state = decode(raw)
    return Found(key, raw, state) if raw and state and state.expires > now else None


def _values(session: Session) -> dict[str, Any]:
    return {name: value for name, value in session.items() if name not in RESERVED}
