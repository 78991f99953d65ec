"""What session strategies share; they differ in the store.

aiohttp-session's middleware is left out: it is paid by every request, and only login and logout set a cookie.
"""

from typing import Any

from aiohttp import web

from services.app.parts import Parts
from services.app.session_storage import Lifetimes, SessionStorage, Store
from services.app.strategy import COOKIE_CHALLENGE, Info, User
from services.common.problems import Unauthenticated


class SessionStrategy:
    """Keeps the login in a session on the server; the cookie is a random id that points to it."""

    def __init__(self, info: Info, storage: SessionStorage) -> None:
        self.info = info
        self._storage = storage

    async def user(self, request: web.Request) -> User:
        """Return the session's user."""
        session = await self._storage.load_session(request)
        if session.new:
            raise Unauthenticated("Not logged in.", challenge=COOKIE_CHALLENGE)
        user: User = session["user"]
        return user

    async def login(self, request: web.Request, response: web.Response, user: User) -> None:
        """Begin a session with a new id."""
        session = await self._storage.new_session()
        session["user"] = user
        await self._storage.save_session(request, response, session)

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Delete the session and its cookie."""
        session = await self._storage.new_session()
        session.invalidate()
        await self._storage.save_session(request, response, session)

    async def visits(self, request: web.Request) -> int:
        """Count in the session."""
        identity = self._storage.identity(request)
        values = await self._storage.change(identity, _count_visit) if identity else None
        if values is None:
            raise Unauthenticated("Not logged in.", challenge=COOKIE_CHALLENGE)
        visits: int = values["visits"]
        return visits


def _count_visit(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"visits": values.get("visits", 0) + 1}


def session_strategy(info: Info, store: Store, parts: Parts) -> SessionStrategy:
    """Return the strategy *info* that keeps its sessions in *store*."""
    settings = parts.settings
    storage = SessionStorage(
        store,
        Lifetimes(settings.session_idle_seconds, settings.session_absolute_seconds),
        cookie_name=f"{info.name}-session",
        secure=settings.secure_cookies,
        clock=parts.clock,
    )
    return SessionStrategy(info, storage)
