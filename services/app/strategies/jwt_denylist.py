"""Access tokens that can be revoked: each replica keeps a list of revocations, which comes from the auth service."""

from aiohttp import web
from pydantic import Field

from services.app.parts import Parts
from services.app.strategy import Capability, Info, Kind
from services.app.tokens.revocable_strategy import RevocableTokenStrategy
from services.app.tokens.strategy import TOKEN_FACTS
from services.common.settings import Settings


class DenylistSettings(Settings):
    """What `jwt-denylist` is configured with."""

    denylist_max_stale_seconds: float = Field(
        10,
        validation_alias="DENYLIST_MAX_STALE_SECONDS",
        gt=1,
        description="how long tokens are trusted without news of revocations; then they get a 503",
    )


def create(name: str, parts: Parts, app: web.Application) -> RevocableTokenStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    info = Info(
        name,
        Kind.TOKEN,
        description="Signed access tokens (JWT), with a list of revocations in each replica's memory",
        capabilities=frozenset({Capability.ANY_REPLICA, Capability.LOGOUT, Capability.FORCED_LOGOUT}),
        choose_when="Choose it when you need tokens, a logout must take effect within moments, and you run a Redis.",
        facts=TOKEN_FACTS._replace(
            state="in a signed token that the client holds; revocations in each replica's memory",
            request="a signature check, dict look-ups",
            without_redis="every answer: 503 after `DENYLIST_MAX_STALE_SECONDS`",
            without_auth="logins, refreshes and logouts",
            forced_logout="everywhere, a moment later",
            staleness="revocations: a moment, at most `DENYLIST_MAX_STALE_SECONDS`; roles: the token's life + 10 s",
        ),
    )
    max_stale = parts.read_settings(DenylistSettings).denylist_max_stale_seconds
    return RevocableTokenStrategy(info, parts.access_tokens(), parts.revocations, parts.auth, max_stale)
