"""Access tokens that can be revoked: each replica keeps a list of revocations, which comes from the auth service."""

from aiohttp import web

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.revocable_strategy import RevocableTokenStrategy


def create(name: str, parts: Parts, app: web.Application) -> RevocableTokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    info = Info(
        name,
        Kind.TOKEN,
        "/auth/login",
        "Signed access tokens (JWT), and in each replica's memory which of them were revoked",
        frozenset({Capability.ANY_REPLICA, Capability.LOGOUT, Capability.FORCED_LOGOUT}),
        "Choose it when you need tokens, a logout must take effect within moments, and you run a Redis.",
    )
    max_stale = parts.settings.denylist_max_stale_seconds
    return RevocableTokenStrategy(info, parts.access_tokens(), parts.revocations, parts.auth, max_stale)
