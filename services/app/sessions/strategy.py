"""What server-side session strategies share. They differ in their stores.

aiohttp-session's middleware is not used: every request would pay for it, although only login and logout set a cookie.
"""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from services.app.parts import Parts
from services.app.revocations.denylist import Denylist
from services.app.sessions.cookie import SessionCookie
from services.app.sessions.device_names import short
from services.app.sessions.key import OWNER, SECRET, SessionKey
from services.app.sessions.state import SessionLifetimes, SessionState
from services.app.sessions.storage import Found, SessionStorage
from services.app.sessions.store import SessionStore
from services.app.strategy import COOKIE_CHALLENGE, Authenticated, Capability, Info, ListedDevice, Reach, User
from services.common.devices import device_of
from services.common.http.problems import Problem, Unauthenticated

SERVER_SIDE = frozenset(
    {
        Capability.VISITS,
        Capability.ATOMIC,
        Capability.LOGOUT,
        Capability.DEVICES,
        Capability.FORCED_LOGOUT,
    }
)
"""What every server-side session strategy can do."""


class SessionNotHere(Problem):
    """This replica does not have the request's session. If another one has it, only that one can end it."""

    status, type = HTTPStatus.NOT_FOUND, "session-not-here"


class SessionStrategy:
    """Keeps the login in a session on the server. The cookie is a random text that identifies the session."""

    def __init__(self, info: Info, storage: SessionStorage, reach: Reach, denylist: Denylist) -> None:
        self.info = info
        self.reach = reach
        self._denylist = denylist
        self._storage = storage

    async def user(self, request: web.Request) -> User:
        """Return the session's user."""
        if found := await self._storage.find(request):
            return found.state.user
        raise not_logged_in()

    async def login(self, request: web.Request, response: web.Response, login: Authenticated) -> None:
        """Begin a session with a new id."""
        session = await self._storage.new_session()
        session.update({"user": login.user, "device": short(device_of(request)), "created": login.at})
        await self._storage.save_session(request, response, session)
        if self._denylist.denies_session(login.user.id, login.at):
            # It was revoked while it began, perhaps before it was stored, when there was no session to end.
            await self.force_logout(login.user.id, until=login.at)
            raise not_logged_in()

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Delete the session and its cookie. Raises `SessionNotHere` if another replica may have the session."""
        ended = await self._storage.log_out(request, response)
        if not ended and Capability.ANY_REPLICA not in self.info.capabilities:
            deletion = response.cookies[self._storage.cookie_name].OutputString()
            detail = "This replica does not have your session. If another one does, you are still logged in there."
            raise SessionNotHere(detail, headers={"Set-Cookie": deletion})

    async def visits(self, request: web.Request, response: web.Response) -> int:  # noqa: ARG002  # the cookie stays
        """Count in the session."""
        state = await self._storage.change(request, count_visit)
        if state is None:
            raise not_logged_in()
        visits: int = state.values["visits"]
        return visits

    async def devices(self, request: web.Request) -> list[ListedDevice]:
        """Return the user's sessions, most recently used first."""
        key = (await self._found(request)).key
        sessions = await self._storage.sessions_of(key.owner)
        newest_first = sorted(sessions.items(), key=lambda item: item[1].seen, reverse=True)
        return [_listed(id_, state, current=id_ == key.id) for id_, state in newest_first]

    async def end_device(self, request: web.Request, device_id: str) -> bool:
        """End one of the user's sessions."""
        key = (await self._found(request)).key
        try:
            return await self._storage.end(SessionKey(key.owner, bytes.fromhex(device_id)))
        except ValueError:  # not hexadecimal
            return False

    async def end_devices(self, request: web.Request, *, others: bool) -> int:
        """End all of the user's sessions, or with *others* all but the current one."""
        found = await self._found(request)
        return await self._storage.end_all(found.state.user.id, keep=found.key.id if others else b"")

    async def force_logout(self, user_id: str, until: float | None = None) -> int:
        """End a user's sessions, or with *until* only those created by then."""
        return await self._storage.end_all(user_id, until=until)

    async def _found(self, request: web.Request) -> Found:
        found = await self._storage.find(request)
        if found is None:
            raise not_logged_in()
        return found


def count_visit(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values* with one more visit."""
    return values | {"visits": values.get("visits", 0) + 1}


def session_strategy(
    info: Info, store: SessionStore, parts: Parts, reach: Reach, remembered: int = 0
) -> SessionStrategy:
    """Return a strategy that keeps its sessions in *store*. *reach* tells whether all replicas share the store."""
    settings = parts.settings
    storage = SessionStorage(
        store,
        SessionLifetimes(settings.session_idle_seconds, settings.session_absolute_seconds),
        settings.limit,
        SessionCookie(f"{info.name}-session", f"[A-Za-z0-9_-]{{{OWNER + SECRET}}}", secure=settings.secure_cookies),
        parts.clock,
        remembered,
    )
    strategy = SessionStrategy(info, storage, reach, parts.revocations.denylist)
    parts.revocations.tell(strategy.force_logout)
    return strategy


def _listed(id_: bytes, state: SessionState, *, current: bool) -> ListedDevice:
    return ListedDevice(id_.hex(), state.created, state.seen, state.device.address, state.device.user_agent, current)


def not_logged_in() -> Unauthenticated:
    """Return the error for a request without a valid session."""
    return Unauthenticated("Not logged in.", challenge=COOKIE_CHALLENGE)
