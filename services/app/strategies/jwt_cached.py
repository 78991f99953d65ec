"""Access tokens whose signature each replica verifies once: it caches a token while the token and its key are valid."""

from aiohttp import web

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.strategy import TokenStrategy


def create(name: str, parts: Parts, app: web.Application) -> TokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy, with a cache of its own in this process."""
    info = Info(
        name,
        Kind.TOKEN,
        "/auth/login",
        "Signed access tokens (JWT); each replica caches those it has verified",
        frozenset({Capability.ANY_REPLICA}),
        "Choose it when jwt would do and clients send the same token to the same replicas many times.",
    )
    return TokenStrategy(info, parts.access_tokens(remembered=parts.settings.jwt_cache_tokens))
