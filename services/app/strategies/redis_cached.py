"""Sessions in Redis, cached in each replica until Redis reports a change (`CLIENT TRACKING`)."""

from aiohttp import web
from pydantic import Field

from services.app.parts import Parts
from services.app.redis_link.link import RedisLink
from services.app.sessions.near_cache import CachedSessionStore, NearCache
from services.app.sessions.redis_store import RedisSessionStore
from services.app.sessions.strategy import SERVER_SIDE, SessionStrategy, session_strategy
from services.app.strategy import Capability, Facts, Info, Kind, Reach
from services.common.settings import Settings


class NearCacheSettings(Settings):
    """What `redis-cached` is configured with."""

    near_cache_users: int = Field(
        10_000, validation_alias="NEAR_CACHE_USERS", ge=1, description="how many users' sessions a replica caches"
    )


def create(name: str, parts: Parts, app: web.Application) -> SessionStrategy:
    """Return the strategy, with a link to Redis and a near-cache of its own in this process."""
    settings = parts.settings
    link = RedisLink(settings.redis_url, settings.redis_password.get_secret_value(), tracking=True)
    users = parts.read_settings(NearCacheSettings).near_cache_users
    cache = NearCache(link, users)
    link.on_push, link.on_lost = cache.changed, cache.clear
    app.cleanup_ctx.append(link.kept)
    info = Info(
        name,
        Kind.SESSION,
        description="Sessions in Redis; each replica caches those it has read until Redis reports a change",
        capabilities=SERVER_SIDE | {Capability.ANY_REPLICA},
        choose_when="Choose it when redis would do but its look-ups cost too much, and changes may be noticed "
        "a second late.",
        facts=Facts(
            state="in Redis; each replica caches it until Redis reports a change",
            request="a dict look-up; over the network after a change",
            without_redis="every answer: 503, up to 1 s later",
            forced_logout="everywhere, within 1 s",
            staleness="an invalidation's travel time, at most 1 s",
        ),
    )
    sessions = RedisSessionStore(parts.redis, parts.link, f"{name}:", parts.clock)
    store = CachedSessionStore(sessions, link, cache)
    return session_strategy(info, store, parts, Reach.CLUSTER, users)
