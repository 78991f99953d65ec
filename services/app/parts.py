"""What a replica offers to the strategies it serves."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from redis.asyncio import Redis

from services.app.access_tokens import AccessTokens
from services.app.settings import AppSettings
from services.app.strategy import Strategy


@dataclass(frozen=True)
class Parts:
    """Shared by all strategies of a replica, opened and closed by the composition root. *clock* returns Unix time."""

    settings: AppSettings
    clock: Callable[[], float]
    redis: Redis
    access_tokens: AccessTokens


Factory = Callable[[str, Parts, web.Application], Strategy]
"""Makes the strategy of a name (its URL prefix); the application is its own, for middlewares and `cleanup_ctx`."""
