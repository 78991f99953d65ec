"""One dot: a user who is logged in under one strategy and asks for my page again and again."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from loadtest.console.history import GIVE_UP_SECONDS, Act, History, Operation, State
from loadtest.load.client import Account, Answer, Client, Strategy

LATE_SECONDS = (0.7, GIVE_UP_SECONDS + 0.1)
"""After which it is noted that a request has no answer yet. It is not given up."""
RETRY_SECONDS = 2.0


class Visitor:
    """The one in *seat* of the row of *strategy*. Whatever is asked and answered goes into *history*."""

    is_thief = False

    def __init__(self, strategy: Strategy, seat: int, account: Account, client: Client, history: History) -> None:
        self.strategy = strategy
        self.seat = seat
        self.account = account
        self.client = client
        self.busy = 0
        """how many requests are in flight"""
        self.present = strategy.is_control
        """whether there ever was a login"""
        self.keeps_fresh = True
        """whether tokens are refreshed before they expire, and not only when they have"""
        self.left = False
        """whether somebody has ended the login, or ordered its end"""
        self._history = history
        self._logins = 0
        self._refreshable = False
        self._refresh_due = 0.0

    @property
    def login(self) -> str:
        """The name of the present login."""
        return self._name(self._logins)

    def _name(self, number: int) -> str:
        return f"{self.strategy.name}/{self.seat}/{number}"

    @property
    def logged_out(self) -> bool:
        """Whether the last answer said so."""
        dot = self._history.dots[self.strategy.name].get(self.seat)
        return dot is not None and dot.state is State.OUT

    @property
    def out_of_order(self) -> bool:
        """Whether the last answer was not my page, or the login's state was lost, or the login is to end."""
        dot = self._history.dots[self.strategy.name].get(self.seat)
        return dot is not None and (self.left or dot.state not in (State.IN, State.ABSENT))

    async def log_in(self, refresh_after: float) -> bool:
        """Log in, which begins a new login; the control has none. Return whether it succeeded."""
        if self.strategy.is_control:
            return True
        # What is sent before the answer is there, is sent with the credential of the login before.
        answer = await self._ask(Act.LOGIN, self.client.login(self.account), self._name(self._logins + 1))
        if answer.status != 200:
            return False
        self._logins += 1
        self.present, self.keeps_fresh, self.left = True, True, False
        self._refreshable = self.strategy.kind == "token"
        self._refresh_due = time.monotonic() + refresh_after
        return True

    async def look(self) -> Answer:
        """Get my page; an app whose token was refused tries to refresh it."""
        answer = await self._ask(Act.PAGE, self.client.mypage())
        if answer.status == 401 and self._refreshable:
            self.keeps_fresh = True
            self._refresh_due = 0.0
        return answer

    async def visit(self) -> Answer:
        """Count one more visit."""
        return await self._ask(Act.VISIT, self.client.visits())

    def counts_visits(self) -> bool:
        """Return whether the login has state whose loss would show."""
        return "visits" in self.strategy.capabilities and not self.logged_out

    def refresh_is_due(self) -> bool:
        """Return whether an app would refresh its tokens now."""
        return self._refreshable and self.keeps_fresh and self._refresh_due < time.monotonic()

    async def refresh(self, refresh_after: float) -> Answer:
        """Trade the refresh token for new tokens. If no answer comes, try again later."""
        self._refresh_due = time.monotonic() + RETRY_SECONDS
        answer = await self._ask(Act.REFRESH, self.client.refresh())
        if answer.status == 200:
            self._refresh_due = time.monotonic() + refresh_after
        elif 400 <= answer.status < 500:
            self._refreshable = False
        return answer

    async def log_out(self) -> Answer:
        """Log out as a user does, but keep the credential, to see whether it still works."""
        self.ended()
        answer = await self._ask(Act.END, self.client.logout())
        if self.strategy.kind == "token":
            self._refreshable = False
        return answer

    def ended(self) -> None:
        """Note that from now on somebody may have ended the login."""
        self.left = True
        self._record(Act.END, self.login, time.monotonic(), Answer(0))

    async def _ask(self, act: Act, call: Awaitable[Answer], login: str = "") -> Answer:
        """Await *call*, and record it as an act of *login*: by default, of the present one."""
        began, login = time.monotonic(), login or self.login
        loop = asyncio.get_running_loop()
        late = [loop.call_later(seconds, self._still_waiting, act, login, began) for seconds in LATE_SECONDS]
        self.busy += 1
        try:
            answer = await call
        finally:
            self.busy -= 1
            for timer in late:
                timer.cancel()
        self._record(act, login, began, answer)
        return answer

    def _still_waiting(self, act: Act, login: str, began: float) -> None:
        self._record(act, login, began, Answer(0), waiting=True)

    def _record(self, act: Act, login: str, began: float, answer: Answer, *, waiting: bool = False) -> None:
        body: Any = answer.body if isinstance(answer.body, dict) else {}
        self._history.record(
            Operation(
                act=act,
                row=self.strategy.name,
                seat=self.seat,
                login=login,
                user=self.account.username,
                began=began,
                ended=time.monotonic(),
                status=answer.status,
                shown=self._shown(act, body),
                count=body.get("visits", 0),
                replica=answer.replica or "",
                thief=self.is_thief,
                waiting=waiting,
            )
        )

    def _shown(self, act: Act, body: Any) -> str:
        if act is not Act.PAGE:
            return ""
        if self.strategy.is_control:
            return self.account.username  # it shows nobody's
        return str(body.get("user", {}).get("name", ""))


class Thief(Visitor):
    """Uses the credential that *victim* sends now, in a seat of its own, for as long as it works."""

    is_thief = True

    def __init__(self, victim: Visitor, seat: int, client: Client, history: History) -> None:
        super().__init__(victim.strategy, seat, victim.account, client, history)
        self.present = True
        self._login = victim.login
        self._stolen = victim.client.credential(f"/{victim.strategy.name}/mypage")

    @property
    def login(self) -> str:
        """The name of the victim's login."""
        return self._login

    async def look(self) -> Answer:
        """Get the victim's page."""
        path = f"/{self.strategy.name}/mypage"
        return await self._ask(Act.PAGE, self.client.call("GET", path, headers=self._stolen))
