"""Seven steps that show, one after the other, what becomes of logins. Each does something to the cluster for real."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from loadtest.cluster.protocol import ClusterError
from loadtest.console.actions import begin
from loadtest.console.stage import Stage

PAUSE_SECONDS = 4.0
"""Between the two things that a step does: time to see the first."""

Show = Callable[[Stage, int], Awaitable[None]]


async def _session(stage: Stage, step: int) -> None:
    """One person logs out, and in again."""
    await over(begin(stage, "log-out", seat=stage.subject, step=step))
    await asyncio.sleep(PAUSE_SECONDS)
    await over(begin(stage, "log-in-again", step=step))


async def _affinity(stage: Stage, step: int) -> None:
    await over(begin(stage, "forget-affinity", step=step))


async def _kill(stage: Stage, step: int) -> None:
    await over(begin(stage, "kill", target=_replica(stage), step=step))


async def _shared(stage: Stage, step: int) -> None:
    await over(begin(stage, "rolling-restart", step=step))


async def _outage(stage: Stage, step: int) -> None:
    redis = next((process.name for process in stage.processes if process.tier == "redis"), None)
    if redis is None:
        raise ClusterError("this cluster has no Redis")
    await over(begin(stage, "stop", target=redis, step=step))


async def _thief(stage: Stage, step: int) -> None:
    await over(begin(stage, "steal", seat=stage.subject, step=step))
    await asyncio.sleep(PAUSE_SECONDS)
    await over(begin(stage, "log-out", seat=stage.subject, step=step))


async def _revocation(stage: Stage, step: int) -> None:
    await over(begin(stage, "force-logout", seat=stage.subject, step=step))


async def over(action: asyncio.Task[None]) -> None:
    """Wait for the end of *action*. Leaving the step meanwhile does not stop it in the middle."""
    await asyncio.wait({action})


STEPS: tuple[Show, ...] = (_session, _affinity, _kill, _shared, _outage, _thief, _revocation)


def _replica(stage: Stage) -> str:
    """Return the second replica that is alive, or the only one."""
    alive = [process.name for process in stage.processes if process.tier == "app" and process.state == "alive"]
    if not alive:
        raise ClusterError("no replica is alive")
    return alive[1 % len(alive)]


class Tour:
    """Goes to a step of the tour, whichever was shown before. The last one is a page without a show."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._task: asyncio.Task[None] | None = None

    def go(self, step: int) -> None:
        """Show *step*; 0 ends the tour. Raises `ValueError` if there is no such step."""
        if not 0 <= step <= len(STEPS) + 1:
            raise ValueError(step)
        self._stage.step, self._stage.subject = step, self._stage.crowd.next_seat()
        if self._task:
            self._task.cancel()
        self._task = asyncio.create_task(self._show(step))

    async def shown(self) -> None:
        """Wait until the step has done what it does."""
        if self._task:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Stop in the middle."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _show(self, step: int) -> None:
        stage = self._stage
        stage.preparing = True
        try:
            await stage.finished()
            if stage.out_of_order():
                await over(begin(stage, "restore", step=step))
        finally:
            stage.preparing = False
        if 1 <= step <= len(STEPS):
            with suppress(ClusterError):  # what is missing is on the screen
                await STEPS[step - 1](stage, step)
