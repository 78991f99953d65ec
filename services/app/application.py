"""Composition root: puts a replica together."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from aiohttp import web
from redis.asyncio import Redis

from services.app.auth_client.client import AuthClient
from services.app.auth_client.servers import AuthServers
from services.app.http.openapi import description
from services.app.http.pages import Pages, catalogue
from services.app.http.same_origin import same_origin
from services.app.parts import Parts
from services.app.redis_link.link import RedisLink
from services.app.revocations.follower import RevocationFollower
from services.app.settings import AppSettings
from services.app.strategies import STRATEGIES
from services.app.strategy import Info, Strategy
from services.app.tokens.shared_key import shared_key
from services.app.tokens.verification_keys import VerificationKeys
from services.common.http.lifecycle import LIFECYCLE
from services.common.http.service import add_routes, create_service
from services.common.redis_client import closing, connect
from services.common.removed_keys import RemovedKeys
from services.common.settings import ReadSettings, read_settings
from services.common.tokens.verifier import FindKey

JWKS_SECONDS = 2.0

# For tests to look into. Handlers get what they need from `_routes`.
INFOS: web.AppKey[Sequence[Info]] = web.AppKey("infos", Sequence)
KEYS: web.AppKey[VerificationKeys] = web.AppKey("keys", VerificationKeys)


def create_app(
    settings: AppSettings, *, clock: Callable[[], float] = time.time, read: ReadSettings = read_settings
) -> web.Application:
    """Return a replica. It connects to nothing before it starts.

    *clock* returns Unix time; *read* reads the settings that belong to one strategy.
    """
    app = create_service(settings.replica, [])
    parts = _parts(app, settings, read, clock)
    strategies = [create(name, parts, app) for name, create in STRATEGIES.items()]
    app.cleanup_ctx.append(parts.revocations.followed)  # after the strategies, which listen
    app[INFOS] = tuple(strategy.info for strategy in strategies)
    add_routes(app, _routes(strategies, parts), same_origin)
    return app


def _parts(app: web.Application, settings: AppSettings, read: ReadSettings, clock: Callable[[], float]) -> Parts:
    """Make what the strategies share. *app* opens and closes it."""
    url, password = settings.redis_url, settings.redis_password.get_secret_value()
    servers = AuthServers([str(url) for url in settings.auth_urls])
    redis, link = connect(url, password), RedisLink(url, password)
    revocations = RevocationFollower(url, password, longest=settings.session_absolute_seconds, clock=clock)
    app.cleanup_ctx.extend([servers.opened, lambda _: closing(redis), link.kept])
    app[LIFECYCLE].checks.extend([link.missing, revocations.missing])
    secret = settings.token_signing_secret.get_secret_value()
    return Parts(
        settings=settings,
        read_settings=read,
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
    """Yield the pages of each strategy under its name, then the routes that describe all of them."""
    routes = [
        route for strategy in strategies for route in Pages(strategy, parts.auth, parts.settings.replica).routes()
    ]
    routes.append(web.get("/strategies", catalogue(strategy.info for strategy in strategies)))
    yield from routes
    yield web.get("/openapi.json", description(route.path for route in routes))
