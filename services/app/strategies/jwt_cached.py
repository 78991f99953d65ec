"""Access tokens whose signature each replica computes once: a token is remembered while it and its key are good."""

from aiohttp import web

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.strategy import TokenStrategy


def create(name: str, parts: Parts, app: web.Application) -> TokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy, with a memory of its own in this process."""
    info = Info(
        name,
        Kind.TOKEN,
        "/auth/login",
        "Signed access tokens (JWT); each replica remembers those that it has verified",
        frozenset({Capability.ANY_REPLICA}),
        "Choose it when jwt would do and clients send the same token to the same replicas many times.",
    )
    return TokenStrategy(info, parts.access_tokens(remembered=parts.settings.jwt_cache_tokens))
