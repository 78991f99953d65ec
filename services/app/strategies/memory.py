"""Sessions in the memory of this process: fast, lost with the process, and unknown to the other replicas."""

from aiohttp import web
from pydantic import Field

from services.app.parts import Parts
from services.app.sessions.memory_store import MemorySessionStore
from services.app.sessions.strategy import SERVER_SIDE, SessionStrategy, session_strategy
from services.app.strategy import Capability, Facts, Info, Kind, Reach
from services.common.settings import Settings


class MemorySettings(Settings):
    """What `memory` is configured with."""

    memory_max_sessions: int = Field(
        500_000, validation_alias="MEMORY_MAX_SESSIONS", ge=1, description="above it, the longest unused session ends"
    )


def create(name: str, parts: Parts, app: web.Application) -> SessionStrategy:
    """Return the strategy, with a store of its own in this process."""
    store = MemorySessionStore(parts.read_settings(MemorySettings).memory_max_sessions, parts.clock)
    app.cleanup_ctx.append(store.swept)
    info = Info(
        name,
        Kind.SESSION,
        description="Sessions in each replica's memory; the load balancer keeps a user on one replica",
        capabilities=SERVER_SIDE | {Capability.AFFINITY},
        choose_when="Choose it when there is one replica, or when users may have to log in again after every "
        "deployment.",
        facts=Facts(
            state="in one replica's memory; nginx keeps a user there",
            request="a dict look-up",
            without_replica="its sessions: those users are logged out",
            forced_logout="at once: at one replica by its own call, everywhere by auth's",
        ),
    )
    return session_strategy(info, store, parts, Reach.REPLICA)
