"""Sessions in this process' memory: fast, lost with the process, unknown to the other replicas."""

from aiohttp import web

from services.app.parts import Parts
from services.app.sessions.memory_store import MemorySessionStore
from services.app.sessions.strategy import SERVER_SIDE, SessionStrategy, session_strategy
from services.app.strategy import Info, Kind, Reach


def create(name: str, parts: Parts, app: web.Application) -> SessionStrategy:
    """Return the strategy, with a store of its own in this process."""
    store = MemorySessionStore(parts.settings.memory_max_sessions, parts.clock)
    app.cleanup_ctx.append(store.swept)
    info = Info(
        name,
        Kind.SESSION,
        f"/{name}/login",
        "Sessions in each replica's memory; the load balancer keeps a user on one replica",
        SERVER_SIDE,
        "Choose it when there is one replica, or when users may have to log in again after every deployment.",
    )
    return session_strategy(info, store, parts, Reach.REPLICA)
