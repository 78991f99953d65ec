"""Users who live through faults, each with a counter in their login: what they lose, and what gets mixed up."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from loadtest.load.client import Account, Answer, Client, Strategy
from loadtest.results.model import Row

NO_ANSWER = 0
MAYBE = (NO_ANSWER, HTTPStatus.SERVICE_UNAVAILABLE)
"""Statuses of a visit that may have been counted or not."""


@dataclass(frozen=True)
class Case:
    """One strategy behind one listener."""

    strategy: Strategy
    affinity: bool

    @property
    def everywhere(self) -> bool:
        """Return whether every replica knows the login."""
        return "any-replica" in self.strategy.capabilities

    @property
    def counts(self) -> bool:
        """Return whether logins have a counter."""
        return "visits" in self.strategy.capabilities


@dataclass
class Counted:
    """A counter as its user knows it: it is at least *known*, and at most *unknown* visits more."""

    known: int = 0
    unknown: int = 0

    def lost(self, answer: Answer) -> bool:
        """Note the *answer* to a visit, and return whether counts that were acknowledged before are missing."""
        if answer.status in MAYBE:
            self.unknown += 1
        if answer.status != HTTPStatus.OK:
            return False
        visits = int(answer.body["visits"])
        missing = visits <= self.known
        self.known, self.unknown = visits, 0
        return missing

    def too_many(self, answer: Answer) -> bool:
        """Return whether *answer*, which was not noted yet, counts more visits than there were."""
        return answer.status == HTTPStatus.OK and int(answer.body["visits"]) > self.known + self.unknown + 1


@dataclass(eq=False)
class User:
    """One device that is logged in as *account*, and what it saw since `forget`."""

    case: Case
    client: Client
    account: Account
    counted: Counted = field(default_factory=Counted)
    gets: Counter[int] = field(default_factory=Counter)
    posts: Counter[int] = field(default_factory=Counter)
    lost_state: bool = False
    mixed_up: bool = False

    @property
    def logged_out(self) -> bool:
        """Return whether the login is gone."""
        return bool(self.gets[HTTPStatus.UNAUTHORIZED] or self.posts[HTTPStatus.UNAUTHORIZED])

    def forget(self) -> None:
        """Begin anew with what is seen; the counter goes on."""
        self.gets, self.posts, self.lost_state, self.mixed_up = Counter(), Counter(), False, False

    async def look(self, times: int = 1) -> None:
        """Get my page and count a visit, until the login is gone."""
        for _ in range(times):
            if not self.logged_out:
                await self._get()
            if self.case.counts and not self.logged_out:
                await self._visit()

    async def keep_looking(self, stop: asyncio.Event, pause: float) -> None:
        """Look again and again until *stop*."""
        while not stop.is_set():
            await self.look()
            await asyncio.sleep(pause)

    async def _get(self) -> None:
        answer = await self.client.mypage()
        self.gets[answer.status] += 1
        if answer.status == HTTPStatus.OK and answer.body["user"]["name"] != self.account.username:
            self.mixed_up = True

    async def _visit(self) -> None:
        answer = await self.client.visits()
        self.posts[answer.status] += 1
        self.mixed_up |= self.counted.too_many(answer)
        self.lost_state |= self.counted.lost(answer)


def row(case: Case, users: Sequence[User], lost_before: Collection[User]) -> Row:
    """Return what happened to *users* of *case*, some of whom had lost their login before the fault.

    No answer at all counts like a 5xx: the load balancer itself was not killed.
    """
    later = [user for user in users if user not in lost_before]
    gets, posts = (sum((getattr(user, what) for user in later), Counter[int]()) for what in ("gets", "posts"))
    return {
        "strategy": case.strategy.name,
        "affinity": case.affinity,
        "users": len(users),
        "lost_before": len(users) - len(later),
        "lost_after": sum(user.logged_out for user in later),
        "state_lost": sum(user.lost_state for user in later),
        "mixed_up": sum(user.mixed_up for user in users),
        "gets": gets.total(),
        "errors": _errors(gets),
        "posts": posts.total(),
        "post_errors": _errors(posts),
    }


def _errors(statuses: Counter[int]) -> int:
    return sum(number for status, number in statuses.items() if status == NO_ANSWER or status >= 500)
