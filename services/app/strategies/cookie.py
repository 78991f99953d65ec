"""The session itself in an encrypted cookie: no store to ask, and none that could take anything back."""

from aiohttp import web

from services.app.parts import Parts
from services.app.sessions.cookie import SessionCookie
from services.app.sessions.encrypted_cookie import CookieStorage, EncryptedCookieStrategy
from services.app.sessions.state import SessionLifetimes
from services.app.strategy import Capability, Info, Kind


def create(name: str, parts: Parts, app: web.Application) -> EncryptedCookieStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    settings = parts.settings
    keys = [key.strip() for key in settings.cookie_keys.get_secret_value().split(",")]
    cookie = SessionCookie(f"{name}-session", "[A-Za-z0-9_-]+", secure=settings.secure_cookies)
    info = Info(
        name,
        Kind.SESSION,
        f"/{name}/login",
        "The session itself in an encrypted cookie that every replica can read",
        frozenset({Capability.VISITS, Capability.ANY_REPLICA}),
        "Choose it when there is no store, the state may be rolled back, and nobody else ever has to end a login.",
    )
    lifetimes = SessionLifetimes(settings.session_idle_seconds, settings.session_absolute_seconds)
    return EncryptedCookieStrategy(info, CookieStorage(keys, cookie), lifetimes, parts.clock)
