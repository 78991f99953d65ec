"""The parent's side of `gate.py`: one Locust process per strategy waits, logged in, to be asked for a block."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hdrh.histogram import HdrHistogram

from loadtest.cluster.machine import busy_seconds
from loadtest.cluster.protocol import CpuReading, Metered
from loadtest.load.children import Child

PLUGINS = "loadtest/locustfile.py,loadtest/load/gate.py"
READY_SECONDS = 90.0
MARGIN_SECONDS = 40.0


@dataclass(frozen=True)
class Block:
    """What one block of load measured, within its window."""

    strategy: str
    rate: float | None
    seconds: float
    elapsed: float
    """Seconds between the two readings of the server tiers' CPU."""
    answers: int
    """How many answers that CPU is for: of an open loop all of the block, of a closed one those in the window."""
    requests: int
    """How many belong to the window, whether good or failed."""
    failed: int
    failures: tuple[str, ...]
    others: int
    latency: HdrHistogram
    tiers: dict[str, float]
    """CPU seconds of each server tier."""
    generator_cpu: float
    """CPU seconds of Locust."""
    machine_busy: float
    """CPU seconds of everything on this machine, ourselves included."""

    def row(self) -> dict[str, Any]:
        """Return it as a raw row: CPU in seconds, `cpu_TIER` for each; latencies in microseconds, as encoded text."""
        return cpu_row(self.tiers) | {
            "rate": self.rate,
            "seconds": self.seconds,
            "elapsed": self.elapsed,
            "answers": self.answers,
            "requests": self.requests,
            "failed": self.failed,
            "failures": "; ".join(self.failures),
            "others": self.others,
            "latency": self.latency.encode().decode(),
            "generator_cpu": self.generator_cpu,
            "machine_busy": self.machine_busy,
        }


@dataclass(frozen=True)
class _Used:
    """What was used between two moments: seconds of the clock, and CPU seconds of server tiers and of the machine."""

    seconds: float
    tiers: dict[str, float]
    machine: float


class _Reading:
    """The meters as they stand now."""

    def __init__(self, served_by: Metered) -> None:
        self._served_by = served_by
        self._cpu, self._busy, self._at = served_by.cpu(), busy_seconds(), time.perf_counter()

    def until_now(self) -> _Used:
        """Return what was used since."""
        now = _Reading(self._served_by)
        return _Used(now._at - self._at, cpu_between(self._cpu, now._cpu), now._busy - self._busy)


class Generator:
    """An async context manager around one Locust process: entered, its *users* are logged in and wait."""

    def __init__(self, strategy: str, url: str, users: int, log: Path) -> None:
        self.strategy = strategy
        command = [
            *(sys.executable, "-m", "locust", "-f", PLUGINS, "--headless", "--only-summary", "--host", url),
            *("--users", str(users), "--spawn-rate", str(users), "--logfile", str(log)),
            *("--strategy", strategy),
        ]
        self._child = Child(f"the load generator for {strategy}", command, log, _environment())

    async def __aenter__(self) -> Self:
        await self._child.start()
        try:
            await self._child.expect("ready", READY_SECONDS)
        except BaseException:
            await self._child.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._child.close()

    async def run_block(self, served_by: Metered, warmup: float, seconds: float, rate: float | None = None) -> Block:
        """Run one block and return what it measured; with *rate* (requests/s) the loop is open.

        *served_by*: whose CPU it costs. Under an open loop that is read while nothing is in flight, before the first
        request and after the last answer; under a closed one at both ends of the window, while the load is on.
        """
        before = None if rate is None else _Reading(served_by)
        self._child.ask(run={"warmup": warmup, "seconds": seconds, "rate": rate})
        await self._child.expect("window", warmup + MARGIN_SECONDS)
        reading = before or _Reading(served_by)
        await self._child.expect("end", seconds + MARGIN_SECONDS)
        used = None if before else reading.until_now()
        done = await self._child.expect("done", MARGIN_SECONDS)
        return self._block(done, rate, used or reading.until_now())

    def _block(self, done: dict[str, Any], rate: float | None, used: "_Used") -> Block:
        return Block(
            strategy=self.strategy,
            rate=rate,
            seconds=done["seconds"],
            elapsed=used.seconds,
            answers=done["requests"] if rate is None else done["answers"],
            requests=done["requests"],
            failed=done["failed"],
            failures=tuple(done["failures"]),
            others=done["others"],
            latency=HdrHistogram.decode(done["latency"]),
            tiers=used.tiers,
            generator_cpu=done["cpu_seconds"],
            machine_busy=used.machine,
        )


def cpu_between(before: CpuReading, after: CpuReading) -> dict[str, float]:
    """Return the CPU seconds that each server tier used between two readings."""
    tiers: dict[str, float] = defaultdict(float)
    for use in after.since(before).values():
        if use.tier not in ("loadgen", "proxy"):
            tiers[use.tier] += use.seconds
    return dict(tiers)


def cpu_row(tiers: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU seconds of *tiers* as columns of a raw row: `cpu_app`, ..."""
    return {f"cpu_{tier}": seconds for tier, seconds in tiers.items()}


def _environment() -> dict[str, str]:
    # Locust reads LOCUST_* as options: the caller's must not change what is measured. select() times out in
    # microseconds, epoll in milliseconds: an open schedule needs the former.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return kept | {"GEVENT_BACKEND": "select", "PYTHONUNBUFFERED": "1"}
