"""The session itself in an encrypted cookie: no store to ask, and none that could take anything back."""

import base64
from collections.abc import Callable, Iterator

from aiohttp import web
from aiohttp_session import Session
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.app.sessions.cookie import SessionCookie
from services.app.sessions.device_names import short
from services.app.sessions.state import SessionLifetimes, SessionState, decode, encode
from services.app.sessions.strategy import count_visit, not_logged_in
from services.app.strategy import Authenticated, Info, User
from services.common.devices import device_of

MAX_BYTES = 4096  # of a cookie's name and value: what browsers keep (draft-ietf-httpbis-rfc6265bis §5.6)
RENEWED: web.RequestKey[SessionState] = web.RequestKey("renewed", SessionState)


class RotatedFernet(Fernet):
    """Encrypts with the first of *keys* and decrypts with any, as `MultiFernet` does, but is a `Fernet`.

    What none of them has encrypted is an empty session, rather than an error that is logged: anybody can send that.
    """

    def __init__(self, keys: list[str]) -> None:
        super().__init__(keys[0])
        self._any = MultiFernet([Fernet(key) for key in keys])

    def decrypt(self, token: bytes | str, ttl: int | None = None) -> bytes:
        """Return what any of the keys has encrypted."""
        try:
            return self._any.decrypt(token, ttl)
        except InvalidToken:
            return b"{}"


class CookieStorage(EncryptedCookieStorage):
    """aiohttp-session's, with our cookie's attributes and without what is no cookie of that form."""

    def __init__(self, keys: list[str], cookie: SessionCookie) -> None:
        super().__init__(RotatedFernet(keys), cookie_name=cookie.name)
        self._cookie = cookie

    def states(self, request: web.Request) -> Iterator[SessionState]:
        """Yield the sessions in the request's cookies, in their order, also those that have expired."""
        for cookie in map(_padded, self._cookie.candidates(request)):
            if cookie is None:
                continue
            session = Session(None, data=self._decoder(self._fernet.decrypt(cookie).decode()), new=False)
            if state := decode(session.get("state")):
                yield state

    def save_cookie(self, response: web.StreamResponse, cookie_data: str, *, max_age: int | None = None) -> None:  # noqa: ARG002  # aiohttp-session's signature
        """Set or delete the cookie. 413 if browsers would drop it silently for its size."""
        size = len(self.cookie_name) + len(cookie_data)
        if size > MAX_BYTES:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_BYTES, actual_size=size)
        if cookie_data:
            self._cookie.set(response, cookie_data.rstrip("="))
        else:
            self._cookie.delete(response)


def _padded(cookie: str) -> str | None:
    """Return the cookie with the padding that it is sent without, or None if it is not as we write it.

    A session has one text: base64 that says the same in another spelling is none of ours (RFC 4648 §3.5).
    """
    padded = cookie + "=" * (-len(cookie) % 4)
    try:
        canonical = base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).decode()
    except ValueError:
        return None
    return padded if padded == canonical else None


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
        state = self._state(request)
        if self._clock() - state.seen >= self._lifetimes.grain:
            request[RENEWED] = self._lifetimes.used(state, self._clock())
        return state.user

    async def login(self, request: web.Request, response: web.Response, login: Authenticated) -> None:
        """Begin a session."""
        state = self._lifetimes.begun(login.user, short(device_of(request)), login.at, self._clock(), {})
        await self._save(request, response, state)

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Let the browser forget the cookie. A copy of it is good until it expires."""
        await self._storage.save_session(request, response, await self._storage.new_session())

    async def visits(self, request: web.Request, response: web.Response) -> int:
        """Count in the cookie."""
        state = self._state(request)
        counted = self._lifetimes.used(state, self._clock(), count_visit(state.values))
        await self._save(request, response, counted)
        visits: int = counted.values["visits"]
        return visits

    async def renew(self, request: web.Request, response: web.Response) -> None:
        """Put the session's last use into the cookie, now and then."""
        if state := request.get(RENEWED):
            await self._save(request, response, state)

    def _state(self, request: web.Request) -> SessionState:
        now = self._clock()
        for state in self._storage.states(request):
            if state.expires > now:
                return state
        raise not_logged_in()

    async def _save(self, request: web.Request, response: web.Response, state: SessionState) -> None:
        session = Session(None, data=None, new=True)
        session["state"] = encode(state).decode()
        await self._storage.save_session(request, response, session)
