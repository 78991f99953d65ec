"""Whether a process is ready to serve requests."""

from collections.abc import Awaitable, Callable

from aiohttp import web

ReadyCheck = Callable[[], Awaitable[str | None]]
"""Returns None if a part of the service is ready, or else what is missing."""


class Lifecycle:
    """Whether this process is ready: from the end of start-up until it drains, while all *checks* pass."""

    def __init__(self, checks: list[ReadyCheck]) -> None:
        self.checks = checks
        self.draining = False

    async def missing(self) -> str | None:
        """Return why this process is not ready, or None if it is."""
        if self.draining:
            return "draining: this process is about to stop"
        for check in self.checks:
            if reason := await check():
                return reason
        return None


LIFECYCLE: web.AppKey[Lifecycle] = web.AppKey("lifecycle", Lifecycle)
