"""The session itself in an encrypted cookie: no store to ask, and none that could take anything back."""

from collections.abc import Callable

from aiohttp import web
from aiohttp_session import AbstractStorage, Session

from services.app.sessions.cookie import SessionCookie
from services.app.sessions.cookie_keys import CookieKeys
from services.app.sessions.device_names import short
from services.app.sessions.state import SessionLifetimes, SessionState, decode, encode
from services.app.sessions.storage import as_session, values_of
from services.app.sessions.strategy import count_visit, not_logged_in
from services.app.strategy import Authenticated, Info, User
from services.common.devices import device_of

MAX_BYTES = 4096  # of a cookie's name and value: what browsers keep (draft-ietf-httpbis-rfc6265bis §5.6)
STATE: web.RequestKey[SessionState] = web.RequestKey("state", SessionState)


class CookieStorage(AbstractStorage):
    """aiohttp-session's storage in the cookie itself. *clock* returns Unix time."""

    def __init__(
        self, keys: CookieKeys, lifetimes: SessionLifetimes, cookie: SessionCookie, clock: Callable[[], float]
    ) -> None:
        super().__init__(cookie_name=cookie.name)
        self._keys = keys
        self._lifetimes = lifetimes
        self._cookie = cookie
        self._clock = clock

    def find(self, request: web.Request) -> SessionState | None:
        """Return the request's session, the first good one."""
        for text in self._cookie.candidates(request):
            state = decode(self._keys.decrypt(text))
            if state and state.expires > self._clock():
                return state
        return None

    def write(self, response: web.StreamResponse, state: SessionState) -> None:
        """Let the client hold *state*. 413 if browsers would drop it silently for its size."""
        text = self._keys.encrypt(encode(state))
        size = len(self.cookie_name) + len(text)
        if size > MAX_BYTES:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_BYTES, actual_size=size)
        self._cookie.set(response, text)

    async def load_session(self, request: web.Request) -> Session:
        """Return the request's session, or a new one (aiohttp-session's call)."""
        state = self.find(request)
        return as_session(state, state) if state else await self.new_session()

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:  # noqa: ARG002  # aiohttp-session's signature
        """Write the session; an empty one deletes the cookie. A new one says its `user`, `device` and `created`."""
        now, values = self._clock(), values_of(session)
        if session.empty:
            self._cookie.delete(response)
        elif session.new:
            user, device, created = session["user"], session["device"], session["created"]
            self.write(response, self._lifetimes.begun(user, device, created, now, values))
        else:
            assert session.identity is not None  # noqa: S101  # `load_session` gave it
            self.write(response, self._lifetimes.used(session.identity, now, values))


class EncryptedCookieStrategy:
    """Keeps the login in a session that the client holds. *clock* returns Unix time.

    What the client sends is what counts: an old cookie is as good as a new one until it expires, and of two answers at
    once that set it (two writes, a write and a renewal, a logout and a renewal) the browser keeps one.
    """

    def __init__(
        self, info: Info, storage: CookieStorage, lifetimes: SessionLifetimes, clock: Callable[[], float]
    ) -> None:
        self.info = info
        self._storage = storage
        self._lifetimes = lifetimes
        self._clock = clock

    async def user(self, request: web.Request) -> User:
        """Return the session's user."""
        state = request[STATE] = self._state(request)
        return state.user

    async def login(self, request: web.Request, response: web.Response, login: Authenticated) -> None:
        """Begin a session."""
        session = await self._storage.new_session()
        session.update({"user": login.user, "device": short(device_of(request)), "created": login.at})
        await self._storage.save_session(request, response, session)

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Let the browser forget the cookie. A copy of it is good until it expires."""
        await self._storage.save_session(request, response, await self._storage.new_session())

    async def visits(self, request: web.Request, response: web.Response) -> int:
        """Count in the cookie."""
        state = self._state(request)
        counted = self._lifetimes.used(state, self._clock(), count_visit(state.values))
        self._storage.write(response, counted)
        visits: int = counted.values["visits"]
        return visits

    async def renew(self, request: web.Request, response: web.Response) -> None:
        """Put the session's last use into the cookie, now and then."""
        state, now = request[STATE], self._clock()
        if now - state.seen >= self._lifetimes.grain:
            self._storage.write(response, self._lifetimes.used(state, now))

    def _state(self, request: web.Request) -> SessionState:
        if state := self._storage.find(request):
            return state
        raise not_logged_in()
