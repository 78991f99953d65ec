"""Access tokens that each replica verifies by itself: nothing is looked up, so nothing can be revoked."""

from aiohttp import web

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.strategy import TokenStrategy


def create(name: str, parts: Parts, app: web.Application) -> TokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    info = Info(
        name,
        Kind.TOKEN,
        "/auth/login",
        "Signed access tokens (JWT) that each replica verifies without asking anybody",
        frozenset({Capability.ANY_REPLICA}),
        "Choose it when clients are not browsers or many services check the login, and a logout may act minutes late.",
    )
    return TokenStrategy(info, parts.access_tokens())
