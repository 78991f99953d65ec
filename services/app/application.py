"""Composition root: puts a replica together."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from aiohttp import web
from redis.asyncio import Redis

from services.app.auth_client.client import AuthClient
from services.app.auth_client.servers import AuthServers
from services.app.http.openapi import description
from services.app.http.pages import CATALOGUE, Pages, catalogue
from services.app.http.same_origin import same_origin
from services.app.parts import Parts
from services.app.redis_link.link import RedisLink
from services.app.revocations.follower import RevocationFollower
from services.app.settings import AppSettings
from services.app.strategies import STRATEGIES
from services.app.strategy import Strategy
from services.app.tokens.shared_key import shared_key
from services.app.tokens.verification_keys import VerificationKeys
from services.common.http.lifecycle import LIFECYCLE
from services.common.http.service import add_routes, create_service
from services.common.redis_client import close, connect
from services.common.removed_keys import RemovedKeys
from services.common.tokens.verifier import FindKey

KEYS: web.AppKey[VerificationKeys] = web.AppKey("keys", VerificationKeys)
JWKS_SECONDS = 2.0


def create_app(settings: AppSettings, *, clock: Callable[[], float] = time.time) -> web.Application:
    """Return a replica. Nothing is connected before it starts; *clock* returns Unix time."""
    app = create_service(settings.replica, [])
    parts = _parts(app, settings, clock)
    strategies = [create(name, parts, app) for name, create in STRATEGIES.items()]
    app.cleanup_ctx.append(parts.revocations.followed)  # when those that are told of them are there
    app[CATALOGUE] = tuple(strategy.info for strategy in strategies)
    add_routes(app, _routes(strategies, parts), same_origin)
    return app


def _parts(app: web.Application, settings: AppSettings, clock: Callable[[], float]) -> Parts:
    """Make what strategies share; *app* opens and closes it."""
    url, password = settings.redis_url, settings.redis_password.get_secret_value()
    servers = AuthServers([str(url) for url in settings.auth_urls])
    redis, link = connect(url, password), RedisLink(url, password)
    revocations = RevocationFollower(url, password, longest=settings.session_absolute_seconds, clock=clock)

    async def redis_closed(_: web.Application) -> AsyncIterator[None]:
        yield
        await close(redis)

    app.cleanup_ctx.extend([servers.opened, redis_closed, link.kept])
    app[LIFECYCLE].checks.extend([link.missing, revocations.missing])
    secret = settings.token_signing_secret.get_secret_value()
    return Parts(
        settings=settings,
        clock=clock,
        redis=redis,
        link=link,
        find_key=shared_key(secret) if settings.algorithm == "HS256" else _public_keys(app, settings, servers, redis),
        auth=AuthClient(servers, settings.app_client_secret.get_secret_value()),
        revocations=revocations,
    )


def _public_keys(app: web.Application, settings: AppSettings, servers: AuthServers, redis: Redis) -> FindKey:
    app[KEYS] = VerificationKeys(
        partial(servers.fetch, "/auth/jwks.json", seconds=JWKS_SECONDS),
        RemovedKeys(redis).read,
        refresh_seconds=settings.jwks_refresh_seconds,
        max_stale_seconds=settings.jwks_max_stale_seconds,
    )
    app[LIFECYCLE].checks.append(app[KEYS].missing)
    app.cleanup_ctx.append(app[KEYS].kept_fresh)
    return app[KEYS].find


def _routes(strategies: list[Strategy], parts: Parts) -> Iterator[web.RouteDef]:
    """Yield each strategy's pages under its name, and what tells of all of them."""
    routes = [
        route for strategy in strategies for route in Pages(strategy, parts.auth, parts.settings.replica).routes()
    ]
    routes.append(web.get("/strategies", catalogue))
    yield from routes
    yield web.get("/openapi.json", description(route.path for route in routes))
