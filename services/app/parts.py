"""What a replica offers to the strategies it serves."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from redis.asyncio import Redis

from services.app.auth_client.client import AuthClient
from services.app.redis_link.link import RedisLink
from services.app.revocations.follower import RevocationFollower
from services.app.settings import AppSettings
from services.app.strategy import Strategy
from services.common.settings import ReadSettings
from services.common.tokens.verifier import AccessTokenVerifier, FindKey


@dataclass(frozen=True)
class Parts:
    """Shared by all strategies of a replica, opened and closed by the composition root.

    *read_settings* reads the settings of a strategy's own. *clock* returns Unix time.
    """

    settings: AppSettings
    read_settings: ReadSettings
    clock: Callable[[], float]
    redis: Redis
    link: RedisLink
    find_key: FindKey
    auth: AuthClient
    revocations: RevocationFollower

    def access_tokens(self, remembered: int = 0) -> AccessTokenVerifier:
        """Return a verifier for access tokens that caches up to *remembered* of them."""
        settings = self.settings
        return AccessTokenVerifier(self.find_key, settings.issuer, settings.audience, self.clock, remembered)


Factory = Callable[[str, Parts, web.Application], Strategy]
"""Creates a strategy from its name (its URL prefix), the parts, and the application whose `cleanup_ctx` it may use."""
