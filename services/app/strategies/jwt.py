"""Access tokens that each replica verifies by itself: nothing is looked up, so nothing can be revoked."""

from aiohttp import web

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.strategy import TOKEN_FACTS, TokenStrategy


def create(name: str, parts: Parts, app: web.Application) -> TokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    info = Info(
        name,
        Kind.TOKEN,
        description="Signed access tokens (JWT) that each replica verifies without asking anybody",
        capabilities=frozenset({Capability.ANY_REPLICA}),
        choose_when="Choose it when clients are not browsers or many services check the login, and a logout "
        "may act minutes late.",
        facts=TOKEN_FACTS,
    )
    return TokenStrategy(info, parts.access_tokens())
