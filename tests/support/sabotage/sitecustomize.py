"""On the PYTHONPATH of a cluster, this adds a strategy to its replicas: a control that spins for 10 µs.

Python imports a module of this name when it starts. Nothing in `services` knows about it.
"""

import os
import sys
import time
import timeit

NANOSECONDS = 10_000
TRIALS = 500


def spin(nanoseconds: float) -> None:
    """Do nothing for so long, not counting the calls around it."""
    end = time.perf_counter_ns() + nanoseconds
    while time.perf_counter_ns() < end:
        pass


def calibrated() -> float:
    """Return with how many nanoseconds to spin for 10 µs: reading the clock takes a different time on each machine."""
    took = min(timeit.repeat(lambda: spin(NANOSECONDS), number=TRIALS, repeat=5)) / TRIALS
    return 2 * NANOSECONDS - 1e9 * took


if os.environ.get("REPLICA", "").startswith("app-"):
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python -m` will do in a moment

    from aiohttp import web

    from services.app import strategies
    from services.app.parts import Parts
    from services.app.strategies.anonymous import Anonymous
    from services.app.strategy import User

    nanoseconds = calibrated()

    class Spun(Anonymous):
        """The control, sabotaged."""

        async def user(self, request: web.Request) -> User:
            """Spin, then do what the control does."""
            spin(nanoseconds)
            return await super().user(request)

    def create(name: str, parts: Parts, app: web.Application) -> Spun:
        """Return the strategy."""
        return Spun(name)

    assert isinstance(strategies.STRATEGIES, dict)
    strategies.STRATEGIES["spun"] = create
