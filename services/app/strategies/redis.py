"""Sessions in Redis, shared by all replicas: each request costs a look-up over the network."""

from aiohttp import web

from services.app.parts import Parts
from services.app.sessions.redis_store import RedisSessionStore
from services.app.sessions.strategy import SERVER_SIDE, SessionStrategy, session_strategy
from services.app.strategy import Capability, Facts, Info, Kind, Reach


def create(name: str, parts: Parts, app: web.Application) -> SessionStrategy:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    info = Info(
        name,
        Kind.SESSION,
        description="Sessions in a Redis that all replicas share",
        capabilities=SERVER_SIDE | {Capability.ANY_REPLICA},
        choose_when="Choose it when people use a browser, you run a Redis, and a logout must hold on every "
        "replica at once.",
        facts=Facts(
            state="in a Redis that all replicas share",
            request="a look-up over the network, shared by the requests of one moment",
            without_redis="every answer: 503 until it is back",
            forced_logout="everywhere, at once",
        ),
    )
    store = RedisSessionStore(parts.redis, parts.link, f"{name}:", parts.clock)
    return session_strategy(info, store, parts, Reach.CLUSTER)
