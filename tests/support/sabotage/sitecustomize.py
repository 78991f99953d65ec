"""On the PYTHONPATH of a cluster, this adds a strategy to its replicas: a control that spins for 10 µs.

Python imports a module of this name when it starts. Nothing in `services` knows about it.
"""

import os
import sys
import time

SPUN_NANOSECONDS = 9_200  # the calls around it take 0.8 us

if os.environ.get("REPLICA", "").startswith("app-"):
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python -m` will do in a moment

    from aiohttp import web

    from services.app import strategies
    from services.app.parts import Parts
    from services.app.strategies.anonymous import Anonymous
    from services.app.strategy import User

    class Spun(Anonymous):
        """The control, sabotaged."""

        async def user(self, request: web.Request) -> User:
            """Spin, then do what the control does."""
            end = time.perf_counter_ns() + SPUN_NANOSECONDS
            while time.perf_counter_ns() < end:
                pass
            return await super().user(request)

    def create(name: str, parts: Parts, app: web.Application) -> Spun:
        """Return the strategy."""
        return Spun(name)

    assert isinstance(strategies.STRATEGIES, dict)
    strategies.STRATEGIES["spun"] = create
