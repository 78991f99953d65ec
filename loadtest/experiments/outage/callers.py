"""Who calls a cluster while a part of it is away: each caller makes one kind of call again and again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from loadtest.load.client import Answer
from loadtest.results.model import Row

PAGE, LOGIN, REFRESH = "my page", "login", "refresh"
GLANCE_SECONDS = 0.02
LONG_SECONDS = 0.5
"""Who has waited for longer when the fault ends has waited in vain."""


@dataclass(frozen=True)
class Called:
    """One call: when it was sent, how many seconds it took, its status (0: no answer), and whether it was *wrong*."""

    sent: float
    seconds: float
    status: int
    wrong: bool = False

    @property
    def succeeded(self) -> bool:
        """Return whether the call was accepted."""
        return self.status == HTTPStatus.OK

    @property
    def refused(self) -> bool:
        """Return whether the answer denies the login, rather than leaving the question open."""
        return self.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)


@dataclass
class Caller:
    """Calls with a *pause* between an answer and the next call, as clients of *strategies* do.

    *name*: whose page it must be. *forbidden*: none of the calls may ever succeed.
    """

    strategies: tuple[str, ...]
    what: str
    call: Callable[[], Awaitable[Answer]]
    pause: float
    name: str = ""
    forbidden: bool = False
    calls: list[Called] = field(default_factory=list)
    _sent: float | None = None

    async def run(self, over: asyncio.Event) -> None:
        """Call until it is *over*."""
        self.calls.clear()
        while not over.is_set():
            self._sent = sent = time.perf_counter()
            answer = await self.call()
            self._sent = None
            self.calls.append(Called(sent, time.perf_counter() - sent, answer.status, self._wrong(answer)))
            await asyncio.sleep(self.pause)

    def _wrong(self, answer: Answer) -> bool:
        """Return whether *answer* gives away what it must not."""
        if answer.status != HTTPStatus.OK:
            return False
        return self.forbidden or bool(self.name and answer.body["user"]["name"] != self.name)

    def so_far(self) -> list[Called]:
        """Return the calls that were answered, and the one that has been waiting for long."""
        waiting = [] if self._sent is None else [Called(self._sent, time.perf_counter() - self._sent, 0)]
        return [*self.calls, *(one for one in waiting if one.seconds > LONG_SECONDS)]

    def succeeded_after(self, moment: float) -> float | None:
        """Return how many seconds after *moment* the first call was sent that succeeded."""
        return min((one.sent - moment for one in self.calls if one.sent >= moment and one.succeeded), default=None)


async def until_all_succeed(callers: Iterable[Caller], since: float, patience: float) -> None:
    """Return when everyone who is allowed to has succeeded after *since*, or when the time is up."""
    deadline = time.perf_counter() + patience
    while any(one.succeeded_after(since) is None for one in callers if not one.forbidden):
        if time.perf_counter() > deadline:
            return
        await asyncio.sleep(GLANCE_SECONDS)


def now(callers: Sequence[Caller]) -> list[Row]:
    """Return a row for each kind of call: what has come of it until now."""
    return [labels | _counts(group) for labels, group in _groups(callers)]


def afterwards(callers: Sequence[Caller], ended: float) -> list[Row]:
    """Return a row for each kind of call, in the same order: what came of it in all, since it *ended*, and when.

    `wrongly`: answers that gave away what they must not, at any time. `recovered`: seconds after the end until
    everybody had succeeded, or None. `refused_after`: logins that were taken for none then.
    """
    return [_recovery(group, ended) for _, group in _groups(callers)]


def _groups(callers: Sequence[Caller]) -> Iterator[tuple[dict[str, object], list[Caller]]]:
    """Yield the callers of each strategy and each kind of call, with labels for them."""
    groups: dict[tuple[str, str], list[Caller]] = {}
    for caller in callers:
        for strategy in caller.strategies:
            groups.setdefault((strategy, caller.what), []).append(caller)
    return (({"strategy": strategy, "call": what}, group) for (strategy, what), group in groups.items())


def _counts(group: Sequence[Caller]) -> dict[str, object]:
    calls = [one for caller in group if not caller.forbidden for one in caller.so_far()]
    return {
        "asked": len(calls),
        "succeeded": sum(one.succeeded for one in calls),
        "refused": sum(one.refused for one in calls),
        "unavailable": sum(one.status == HTTPStatus.SERVICE_UNAVAILABLE for one in calls),
        "unanswered": sum(one.status == 0 for one in calls),
        "slowest_seconds": max((one.seconds for one in calls), default=0.0),
    }


def _recovery(group: Sequence[Caller], ended: float) -> dict[str, object]:
    honest = [caller for caller in group if not caller.forbidden]
    again = [caller.succeeded_after(ended) for caller in honest]
    return {
        "wrongly": sum(one.wrong for caller in group for one in caller.calls),
        "tried": sum(len(caller.calls) for caller in group),
        "recovered": None if None in again else max((one for one in again if one is not None), default=None),
        "refused_after": sum(one.refused for caller in honest for one in caller.calls if one.sent >= ended),
    }
