"""What the page draws: dots and numbers, as compact JSON."""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from loadtest.console.beat import Beat
from loadtest.console.cost import OwnCost
from loadtest.console.feed import Feed
from loadtest.console.history import Dot, State
from loadtest.console.stage import Stage

DOTS_SECONDS = 0.1
NUMBERS_EVERY, CHANGES_EVERY = 10, 4
"""times that dots are drawn"""
PAST_SECONDS = 120
CODES = {state: code for code, state in enumerate(State)}
HIGHLIGHT_SECONDS = 20.0
PARTS = ("topology", "timeline", "tour")
"""Parts of the page that it fetches when they have changed."""


class Picture:
    """Draws the *stage* for all viewers of *feed*."""

    def __init__(self, stage: Stage, beat: Beat, feed: Feed, cost: OwnCost) -> None:
        self.past: deque[tuple[float, list[int]]] = deque(maxlen=PAST_SECONDS)
        """Unix times, and how many were logged in in each row"""
        self._stage = stage
        self._beat = beat
        self._feed = feed
        self._cost = cost
        self._rows = {strategy.name: place for place, strategy in enumerate(stage.strategies)}
        self._replicas = {replica: place for place, replica in enumerate(stage.replicas)}
        self._changed: dict[tuple[str, int], None] = {}
        self._told: tuple[object, ...] = (None,) * len(PARTS)
        self._broken = False

    def changed(self, row: str, seat: int) -> None:
        """Draw the dot in *seat* of *row* again."""
        self._changed[row, seat] = None

    def place_of(self, replica: str) -> int:
        """Return the number whose colour and shape stand for *replica*, from 0."""
        return self._replicas.setdefault(replica, len(self._replicas)) if replica else 0

    def whole(self) -> str:
        """Return all dots and numbers, for a new viewer."""
        everything = {(row, seat): None for row, dots in self._stage.history.dots.items() for seat in dots}
        past = [[round(at, 1), *counts] for at, counts in self.past]
        return _json(
            {"dots": self._dots(everything), "numbers": self.numbers(), "past": past, "clicks": self._clicks()}
        )

    async def draw(self) -> None:
        """Tell viewers for ever."""
        for tick in itertools.count(1):
            self._draw_dots()
            if tick % NUMBERS_EVERY == 0:
                self._draw_numbers()
            if tick % CHANGES_EVERY == 0:
                self._tell_of_changes()
            await asyncio.sleep(DOTS_SECONDS)

    def numbers(self) -> dict[str, Any]:
        """Return the numbers beside the rows."""
        counts, now = self._stage.history.counts(), time.monotonic()
        rows = []
        for name, meter in self._beat.meters.items():
            latencies = meter.latencies(now)
            rows.append(
                asdict(counts[name])
                | {"p50": latencies and _ms(latencies[0]), "p99": latencies and _ms(latencies[1])}
                | {"cpu": (cpu := meter.cpu()) and round(1e6 * cpu)}
            )
        return {
            "at": round(time.time(), 1),
            "length": self._stage.history.length,
            "rows": rows,
            "gone": self._stage.gone,
            "cost": self._cost.percent,
            "seat": self._highlighted(now),
            "clicks": self._clicks(),
        }

    def _highlighted(self, now: float) -> int | None:
        """Return the seat of the person whom the last click was about, if that is not long ago."""
        last = next(reversed(self._stage.history.entries), None)
        return last.seat if last and now - last.began < HIGHLIGHT_SECONDS else None

    def _draw_dots(self) -> None:
        changed, self._changed = self._changed, {}
        if changed and len(self._feed):
            self._feed.send("dots", _json(self._dots(changed)))

    def _dots(self, which: Mapping[tuple[str, int], None]) -> list[list[int]]:
        rows: dict[str, list[int]] = {}
        for row, seat in which:
            dot = self._stage.history.dots[row].get(seat)
            rows.setdefault(row, [self._rows[row]]).extend((seat, self._code(dot) if dot else -1))
        return list(rows.values())

    def _code(self, dot: Dot) -> int:
        return 16 * self.place_of(dot.replica) + 2 * CODES[dot.state] + dot.thief

    def _draw_numbers(self) -> None:
        self._cost.read()
        numbers = self.numbers()
        self.past.append((numbers["at"], [row["logged_in"] for row in numbers["rows"]]))
        self._feed.send("numbers", _json(numbers))
        self._broken = self._stage.out_of_order()

    def _clicks(self) -> list[float]:
        """Return the times of the clicks that the plots still show."""
        since = time.time() - PAST_SECONDS
        return [round(entry.at, 1) for entry in self._stage.history.entries if entry.at > since]

    def _tell_of_changes(self) -> None:
        """Let pages fetch the parts that have changed."""
        stage = self._stage
        now = (
            (tuple(stage.processes), stage.crowd.affinity, stage.gone, self._broken),
            stage.history.revision,
            (stage.step, stage.subject, stage.preparing),
        )
        changed = [name for name, new, old in zip(PARTS, now, self._told, strict=True) if new != old]
        self._told = now
        if changed:
            self._feed.send("changed", _json(changed))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))
