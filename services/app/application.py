"""Composition root: puts a replica together."""

import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from services.app.access_tokens import AccessTokens
from services.app.auth_client import AuthClient
from services.app.handlers import CATALOGUE, Pages, catalogue
from services.app.jwks import JwksUrl, SigningKeys
from services.app.parts import Parts
from services.app.redis_sessions import FirstContact, connect
from services.app.same_origin import same_origin
from services.app.settings import AppSettings
from services.app.strategies import STRATEGIES
from services.common.service import create_service


def create_app(settings: AppSettings, *, clock: Callable[[], float] = time.time) -> web.Application:
    """Return a replica. Nothing is connected before it starts; *clock* returns Unix time."""
    base = str(settings.auth_url).rstrip("/")
    auth = AuthClient(base, settings.app_client_secret.get_secret_value())
    jwks = JwksUrl(f"{base}/auth/jwks.json")
    keys = SigningKeys(jwks)
    redis = connect(settings.redis_url, settings.redis_password.get_secret_value())

    async def redis_closed(_: web.Application) -> AsyncIterator[None]:
        yield
        await redis.aclose()
        await redis.connection_pool.aclose()  # a client does not close a pool that it was given

    app = create_service(settings.replica, [keys.missing, FirstContact(redis)])
    app.middlewares.append(same_origin)
    app.cleanup_ctx.extend([auth.opened, jwks.opened, keys.kept_fresh, redis_closed])
    access_tokens = AccessTokens(keys, settings.issuer, settings.audience, clock)
    _mount(app, Parts(settings, clock, redis, access_tokens), auth)
    return app


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
