"""A clock for tests."""

from dataclasses import dataclass


@dataclass
class ManualClock:
    """A clock that stands still until it is moved, or advances by *tick* seconds whenever it is read."""

    now: float = 1_800_000_000.5
    tick: float = 0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now
