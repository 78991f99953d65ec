"""Access tokens whose signature each replica verifies once: it caches a token while the token and its key are valid."""

from aiohttp import web
from pydantic import Field

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.strategy import TOKEN_FACTS, TokenStrategy
from services.common.settings import Settings


class TokenCacheSettings(Settings):
    """What `jwt-cached` is configured with."""

    jwt_cache_tokens: int = Field(
        10_000, validation_alias="JWT_CACHE_TOKENS", ge=1, description="how many tokens a replica caches"
    )


def create(name: str, parts: Parts, app: web.Application) -> TokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy, with a cache of its own in this process."""
    info = Info(
        name,
        Kind.TOKEN,
        description="Signed access tokens (JWT); each replica caches those it has verified",
        capabilities=frozenset({Capability.ANY_REPLICA}),
        choose_when="Choose it when jwt would do and clients send the same token to the same replicas many times.",
        facts=TOKEN_FACTS._replace(request="a dict look-up; a signature check once per token and replica"),
    )
    return TokenStrategy(info, parts.access_tokens(remembered=parts.read_settings(TokenCacheSettings).jwt_cache_tokens))
