"""Sessions in Redis that each replica remembers until Redis says that they changed (`CLIENT TRACKING`)."""

from aiohttp import web

from services.app.parts import Parts
from services.app.redis_link.link import RedisLink
from services.app.sessions.near_cache import CachedSessionStore, NearCache
from services.app.sessions.redis_store import RedisSessionStore
from services.app.sessions.strategy import SERVER_SIDE, SessionStrategy, session_strategy
from services.app.strategy import Capability, Info, Kind, Reach


def create(name: str, parts: Parts, app: web.Application) -> SessionStrategy:
    """Return the strategy, with a link to Redis and a near-cache of its own in this process."""
    settings = parts.settings
    link = RedisLink(settings.redis_url, settings.redis_password.get_secret_value(), tracking=True)
    cache = NearCache(link, settings.near_cache_users)
    link.on_push, link.on_lost = cache.changed, cache.clear
    app.cleanup_ctx.append(link.kept)
    info = Info(
        name,
        Kind.SESSION,
        f"/{name}/login",
        "Sessions in Redis; each replica remembers those that it has read until Redis says that they changed",
        SERVER_SIDE | {Capability.ANY_REPLICA},
        "Choose it when redis would do but its look-ups cost too much, and a change may be noticed a second late.",
    )
    sessions = RedisSessionStore(parts.redis, parts.link, f"{name}:", parts.clock)
    return session_strategy(info, CachedSessionStore(sessions, link, cache), parts, Reach.CLUSTER)
