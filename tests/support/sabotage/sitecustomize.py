"""On the PYTHONPATH of a cluster, this adds strategies to its replicas: controls that spin for 10 and for 20 µs.

What the calls around the spinning cost depends on the machine, but is the same for both: they differ by 10 µs. Python
imports a module of this name when it starts. Nothing in `services` knows about it.
"""

import os
import sys
import time
from functools import partial

SPUN_NANOSECONDS = {"spun": 10_000, "spun-more": 20_000}

if os.environ.get("REPLICA", "").startswith("app-"):
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python -m` will do in a moment

    from aiohttp import web

    from services.app import strategies
    from services.app.parts import Parts
    from services.app.strategies.anonymous import Anonymous
    from services.app.strategy import User

    class Spun(Anonymous):
        """The control, sabotaged."""

        nanoseconds = 0

        async def user(self, request: web.Request) -> User:
            """Spin, then do what the control does."""
            end = time.perf_counter_ns() + self.nanoseconds
            while time.perf_counter_ns() < end:
                pass
            return await super().user(request)

    def create(nanoseconds: int, name: str, parts: Parts, app: web.Application) -> Spun:
        """Return the strategy."""
        strategy = Spun(name)
        strategy.nanoseconds = nanoseconds
        return strategy

    assert isinstance(strategies.STRATEGIES, dict)
    for name, nanoseconds in SPUN_NANOSECONDS.items():
        strategies.STRATEGIES[name] = partial(create, nanoseconds)
