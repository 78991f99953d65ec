"""What all drills for sessions share: busy clients, and the check of their answers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from tests.support.clients.strategy import Login, Site
from tests.support.history import Operation, Terms, faults

Ask = Callable[[], Awaitable[Operation]]
GIVE_UP_SECONDS = 10.0


async def refused_everywhere(site: Site, login: Login, within: float = 0.0) -> None:
    """Ask every replica until it refuses *login*, for *within* seconds, and while it cannot know.

    If one still accepts the login, the history reports a fault.
    """
    await asyncio.gather(*(_refused(site, login, base, within) for base in site.bases_of(login)))


async def _refused(site: Site, login: Login, base: str, within: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    while True:
        asked_after = loop.time() - start
        answer = await site.page(login, base)
        if answer.status == 401 or (answer.status == 200 and asked_after > within):
            return
        assert asked_after < within + GIVE_UP_SECONDS, answer


async def until_done(ask: Ask, seen: Counter[str], *, not_here: bool = False) -> None:
    """Log out, again while the answer is 503. *not_here*: the answer may also be a 404."""
    while (answer := await ask()).status == 503:
        seen["asked again"] += 1
    assert answer.succeeded or (not_here and answer.status == 404), answer


def reads(site: Site, logins: Iterable[Login]) -> list[Ask]:
    """Return what asks for my page, with each login at each of its replicas."""
    return [partial(site.page, login, base) for login in logins for base in site.bases_of(login)]


def writes(site: Site, logins: Iterable[Login]) -> list[Ask]:
    """Return what counts a visit, with each login at each of its replicas."""
    return [partial(site.visit, login, base) for login in logins for base in site.bases_of(login)]


class Busy:
    """Clients that repeat one request each until told to stop. *pause*: seconds in between."""

    def __init__(self, asks: Iterable[Ask], pause: float = 0) -> None:
        self.answers: Counter[str] = Counter()
        self._over = asyncio.Event()
        self._pause = pause
        self._tasks = [asyncio.create_task(self._go_on(ask)) for ask in asks]

    async def _go_on(self, ask: Ask) -> None:
        while not self._over.is_set():
            answer = await ask()
            self.answers[f"{answer.act} {answer.status}"] += 1
            await asyncio.sleep(self._pause)

    async def stop(self) -> Counter[str]:
        """Wait for the last answers and return counts of all answers."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        return self.answers


def with_faults(seen: Counter[str], *sites: Site, terms: Terms | None = None) -> Counter[str]:
    """Return what was *seen*, and each fault in the sites' histories. *terms* replace those of the strategies."""
    for site in sites:
        seen.update(f"FAULT {fault}" for fault in faults(site.history, terms or site.terms))
    return seen
