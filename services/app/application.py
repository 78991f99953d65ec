"""Composition root: puts a replica together."""

import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from redis.asyncio import Redis

from services.app.access_tokens import AccessTokens
from services.app.auth_client import AuthClient
from services.app.auth_servers import AuthServers
from services.app.handlers import CATALOGUE, Pages, catalogue
from services.app.jwks import SigningKeys
from services.app.openapi import add_description
from services.app.parts import Parts
from services.app.redis_sessions import FirstContact
from services.app.removed_keys import RemovedKeys
from services.app.same_origin import same_origin
from services.app.settings import AppSettings
from services.app.shared_key import SharedKey
from services.app.strategies import STRATEGIES
from services.common.access_tokens import FindKey
from services.common.redis_client import close, connect
from services.common.service import LIFECYCLE, create_service

KEYS: web.AppKey[SigningKeys] = web.AppKey("keys", SigningKeys)
JWKS_SECONDS = 2.0


def create_app(settings: AppSettings, *, clock: Callable[[], float] = time.time) -> web.Application:
    """Return a replica. Nothing is connected before it starts; *clock* returns Unix time."""
    servers = AuthServers([str(url) for url in settings.auth_urls])
    auth = AuthClient(servers, settings.app_client_secret.get_secret_value())
    redis = connect(settings.redis_url, settings.redis_password.get_secret_value())

    async def redis_closed(_: web.Application) -> AsyncIterator[None]:
        yield
        await close(redis)

    app = create_service(settings.replica, [FirstContact(redis)])
    app.middlewares.append(same_origin)
    app.cleanup_ctx.extend([servers.opened, redis_closed])
    find_key = _shared_key(settings) if settings.algorithm == "HS256" else _public_keys(app, settings, servers, redis)
    access_tokens = AccessTokens(find_key, settings.issuer, settings.audience, clock)
    _mount(app, Parts(settings, clock, redis, access_tokens), auth)
    return app


def _shared_key(settings: AppSettings) -> FindKey:
    return SharedKey(settings.token_signing_secret.get_secret_value()).find


def _public_keys(app: web.Application, settings: AppSettings, servers: AuthServers, redis: Redis) -> FindKey:
    app[KEYS] = SigningKeys(
        partial(servers.fetch, "/auth/jwks.json", seconds=JWKS_SECONDS),
        RemovedKeys(redis),
        refresh_seconds=settings.jwks_refresh_seconds,
        max_stale_seconds=settings.jwks_max_stale_seconds,
    )
    app[LIFECYCLE].checks.append(app[KEYS].missing)
    app.cleanup_ctx.append(app[KEYS].kept_fresh)
    return app[KEYS].find


def _mount(app: web.Application, parts: Parts, auth: AuthClient) -> None:
    """Serve each strategy of the table under its name."""
    infos = []
    for name, create in STRATEGIES.items():
        area = web.Application()
        strategy = create(name, parts, area)
        Pages(strategy, auth, parts.settings.replica).add_routes(area.router)
        app.add_subapp(f"/{name}/", area)
        infos.append(strategy.info)
    app[CATALOGUE] = tuple(infos)
    app.router.add_get("/strategies", catalogue)
    add_description(app.router)
