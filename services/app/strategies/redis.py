"""Sessions in Redis, shared by all replicas: each request costs a look-up over the network."""

from aiohttp import web

from services.app.parts import Parts
from services.app.redis_sessions import RedisSessions
from services.app.sessions import SessionStrategy, session_strategy
from services.app.strategy import Capability, Info, Kind


def create(name: str, parts: Parts, area: web.Application) -> SessionStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    info = Info(
        name,
        Kind.SESSION,
        f"/{name}/login",
        "Sessions in a Redis that all replicas share",
        frozenset({Capability.VISITS, Capability.LOGOUT, Capability.ANY_REPLICA}),
    )
    return session_strategy(info, RedisSessions(parts.redis, "session:"), parts)
