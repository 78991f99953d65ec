"""Whether a process would serve a request now."""

from collections.abc import Awaitable, Callable

from aiohttp import web

ReadyCheck = Callable[[], Awaitable[str | None]]
"""Returns None when its part would serve now, else what is missing."""


class Lifecycle:
    """Whether this process would serve a request now: yes from start-up's end until it begins to drain."""

    def __init__(self, checks: list[ReadyCheck]) -> None:
        self.checks = checks
        self.draining = False

    async def missing(self) -> str | None:
        """Return why this process would not serve now, or None."""
        if self.draining:
            return "draining: this process is about to stop"
        for check in self.checks:
            if reason := await check():
                return reason
        return None


LIFECYCLE: web.AppKey[Lifecycle] = web.AppKey("lifecycle", Lifecycle)
