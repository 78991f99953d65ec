"""A history that tests make up: people who ask, and what they are told."""

import itertools
from collections.abc import Callable
from typing import Any

from loadtest.console.history import Act, Entry, Happening, History, Operation


class MadeUp:
    """People under `memory` and `redis`; the clock moves a tenth of a second with each request."""

    def __init__(self, people: int = 3, listener: Callable[[Happening], None] | None = None) -> None:
        self.history = History(["memory", "redis"], listener)
        self.now = 100.0
        self._numbers = itertools.count(1)
        for row in ("memory", "redis"):
            for seat in range(people):
                self.told(row, seat, 200, act=Act.LOGIN)
                self.told(row, seat, 200)

    def told(self, row: str, seat: int, status: int, **more: Any) -> None:
        self.now += 0.1
        what: dict[str, Any] = {"act": Act.PAGE, "login": f"{row}/{seat}/1", "user": f"u{seat}", "shown": f"u{seat}"}
        self.history.record(
            Operation(row=row, seat=seat, began=self.now - 0.05, ended=self.now, status=status, **{**what, **more})
        )

    def visited(self, row: str, seat: int, count: int, status: int = 200, **more: Any) -> None:
        self.told(row, seat, status, act=Act.VISIT, count=count, **more)

    def click(self, action: str = "kill", **what: Any) -> Entry:
        entry = Entry(next(self._numbers), 1_700_000_000.0, self.now, action, **what)
        self.history.click(entry)
        return entry
