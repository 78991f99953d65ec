"""Work that is repeated in the background."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # after an unexpected error
CANCEL_SECONDS = 0.1  # before a task that ignored its cancellation is cancelled again

Step = Callable[[], Awaitable[float]]
"""Does the work once and returns the number of seconds to wait before the next time."""


@asynccontextmanager
async def repeating(step: Step, *, first_after: float = 0) -> AsyncIterator[None]:
    """Call *step* repeatedly in the background while the block runs, starting *first_after* seconds from now.

    Unexpected errors are logged and do not end the repetition.
    """
    task = asyncio.create_task(_repeat(step, first_after))
    try:
        yield
    finally:
        while not task.done():  # redis-py 8.1 sometimes swallows a cancellation, so one may not be enough
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_SECONDS)


async def _repeat(step: Step, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        try:
            pause = await step()
        except Exception:
            log.exception("%s failed; trying again in %g s", step.__qualname__, RETRY_SECONDS)
            pause = RETRY_SECONDS
