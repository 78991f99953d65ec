"""Locust plug-in: users log in once and then wait for their turn; a parent process opens blocks and gets the counts.

    locust -f loadtest/locustfile.py,loadtest/load/gate.py --headless --host URL -u 16 -r 16 --strategy redis

JSON lines, one object each. The parent is told `{"event": "ready", "users"}` when every user has read one good page, or
`{"event": "error", "text"}`; it asks `{"run": {"warmup", "seconds", "rate"}}` (seconds; rate null: closed loop) and is
told `{"event": "window"}` when counting starts, `{"event": "end"}` when it ends, and `{"event": "done", ...}` (see
`Block.report`) when the last answer is in. The end of stdin ends this process: it does not outlive its parent.
"""

import functools
import json
import logging
import os
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

import gevent  # type: ignore[import-untyped] # it ships no types
from gevent.event import Event  # type: ignore[import-untyped]
from gevent.fileobject import FileObject  # type: ignore[import-untyped]
from hdrh.histogram import HdrHistogram
from locust import User, events
from locust.env import Environment
from locust.event import EventHook

from loadtest.load.schedule import OpenSchedule

# Only the protocol may reach the real stdout; whatever else is printed goes to stderr.
_protocol = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

HIGHEST_US = 3_600_000_000
DRAIN_SECONDS = 20.0
LATE = f"not answered within {DRAIN_SECONDS:g} s of the block's end"
READING_SECONDS = 0.1  # above what the parent needs to read the CPU of a cluster, 15 to 40 ms


def tell(**message: Any) -> None:
    """Send one line to the parent."""
    _protocol.write(json.dumps(message) + "\n")


class Block:
    """The counts of one block. A closed loop counts what ends in the window, an open one what should start in it."""

    def __init__(self, warmup: float, seconds: float, rate: float | None) -> None:
        now = time.perf_counter()
        self.start = now + warmup
        self.end = self.start + seconds
        self.schedule = OpenSchedule(now, rate, self.end) if rate else None
        self.latencies = array("d")
        self.answers = 0
        self.failed = 0
        self.examples: set[str] = set()
        self.others = 0
        self.cpu = 0.0

    def count(self, intended: float | None, seconds: float, exception: BaseException | None) -> None:
        """Count one answer; what belongs to the window, closer. A failure is no latency."""
        now = time.perf_counter()
        self.answers += 1
        if not self.start <= (now if intended is None else intended) < self.end:
            return
        if exception is None:
            self.latencies.append(seconds if intended is None else now - intended)
        else:
            self.fail(1, str(exception)[:200])

    def fail(self, number: int, why: str) -> None:
        """Count failures; a few reasons are kept."""
        self.failed += number
        if number and len(self.examples) < 5:
            self.examples.add(why)

    def report(self, seconds: float, cpu_seconds: float) -> dict[str, Any]:
        """Return what the parent is told; latencies are microseconds in an encoded HdrHistogram."""
        histogram = HdrHistogram(1, HIGHEST_US, 3)
        for latency in self.latencies:
            histogram.record_value(max(1, round(latency * 1e6)))
        return {
            "requests": len(self.latencies) + self.failed,
            "answers": self.answers,
            "failed": self.failed,
            "failures": sorted(self.examples),
            "others": self.others,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "latency": histogram.encode().decode(),
        }


class Meter:
    """Holds the users at a gate, lets them through for one block at a time, and counts their answers."""

    def __init__(self, environment: Environment, users: int) -> None:
        self.environment = environment
        self.users = self.expected = users
        self.at_gate = 0
        self.waiting: set[User] = set()
        self.intended: dict[Any, float] = {}
        self.gate = Event()
        self.block: Block | None = None

    def wait_time(self, user: User) -> float:
        """Wait for this user's turn; return the seconds until it should send (Locust sleeps them)."""
        while True:
            self.arrive(user)
            self.at_gate += 1
            self.gate.wait()
            self.at_gate -= 1
            if self.block is None or self.block.schedule is None:
                return 0.0
            arrival = self.block.schedule.take()
            if arrival is not None:
                self.intended[gevent.getcurrent()] = arrival
                return max(0.0, arrival - time.perf_counter())
            self.gate.clear()

    def arrive(self, user: User) -> None:
        """Say that we are ready when the last user stands at the gate for the first time."""
        if not self.expected:
            return
        self.waiting.add(user)
        if len(self.waiting) == self.expected:
            tell(event="ready", users=self.expected)
            self.expected = 0

    def on_request(self, name: str, response_time: float, exception: BaseException | None, **_: Any) -> None:
        """Count my pages; anything else that users send meanwhile (a refresh) is counted beside them."""
        if self.block is None:
            if exception is not None and self.expected:
                self.on_error(exception=RuntimeError(f"{name}: {exception}"))
        elif name.endswith("/mypage"):
            self.block.count(self.intended.pop(gevent.getcurrent(), None), response_time / 1000, exception)
        else:
            self.block.others += 1

    def on_error(self, exception: BaseException, **_: Any) -> None:
        """Tell the parent: a user that raises is a bug, or has no login."""
        tell(event="error", text=str(exception)[:300])

    def run(self, warmup: float, seconds: float, rate: float | None) -> None:
        """Run one block. The parent reads the cluster's CPU on `window` and `end`: load is on at both."""
        self.block = block = Block(warmup, seconds, rate)
        self.gate.set()
        gevent.sleep(block.start - time.perf_counter())
        began, cpu = time.perf_counter(), time.process_time()
        tell(event="window")
        gevent.sleep(block.end - time.perf_counter())
        cpu, took = time.process_time() - cpu, time.perf_counter() - began
        tell(event="end")
        self.drain(block)
        tell(event="done", **block.report(took, cpu))
        self.block = None

    def drain(self, block: Block) -> None:
        """Stop a closed loop, once the parent has read the CPU under load, as it did when the window began.

        An open schedule is kept to the end: what is overdue is still sent, or is a failure. Either way nothing is in
        flight afterwards, for the next block's CPU would pay for it.
        """
        if block.schedule is None:
            gevent.sleep(READING_SECONDS)
            self.gate.clear()
            with gevent.Timeout(DRAIN_SECONDS, False):
                while self.at_gate < self.users:
                    gevent.sleep(0.002)
                return
            block.fail(self.users - self.at_gate, LATE)
            return
        with gevent.Timeout(DRAIN_SECONDS, False):
            while self.intended or not block.schedule.exhausted:
                gevent.sleep(0.005)
            return
        unsent = sum(1 for _ in iter(block.schedule.take, None))
        block.fail(unsent + len(self.intended), LATE)
        self.intended.clear()

    def serve(self) -> None:
        """Do what the parent asks until it closes our stdin, then end. A parent that is gone meanwhile ends us, too."""
        self.environment.process_exit_code = 1
        try:
            for line in FileObject(0, "r"):
                self.run(**json.loads(line)["run"])
            self.environment.process_exit_code = 0
        finally:
            if self.environment.runner:
                self.environment.runner.quit()


def _listen(event: EventHook, listener: Callable[..., None]) -> None:
    event.add_listener(listener)  # type: ignore[no-untyped-call] # Locust's is not annotated


def _gate(meter: Meter) -> Callable[[User], float]:
    return lambda user: meter.wait_time(user)


def install(environment: Environment, **_: Any) -> None:
    """Put the gate in front of every user that this process was started for."""
    options = environment.parsed_options
    meter = Meter(environment, options.num_users if options else 1)
    for user_class in environment.user_classes:
        user_class.wait_time = _gate(meter)
    _listen(environment.events.request, meter.on_request)
    _listen(environment.events.user_error, meter.on_error)
    logging.getLogger("locust.stats_logger").disabled = True  # a summary would bury what went wrong
    gevent.spawn(meter.serve).link_exception(functools.partial(print, "measure:", file=sys.stderr))


_listen(events.init, install)
