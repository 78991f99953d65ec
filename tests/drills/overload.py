"""A drill that offers more requests per second than the cluster can answer: what is refused, and how it recovers."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import numpy as np

from loadtest.cluster.local import LocalCluster
from loadtest.load.answers import read_answer
from loadtest.load.schedule import OpenSchedule
from tests.support.clients.strategy import Login, site_of
from tests.support.history import NO_ANSWER
from tests.support.strategies import INFOS

CONNECTIONS = 1500  # nginx needs two for each, of 4,096 per worker
CLOSED_LOOP = 64
CALM = 0.25  # of the capacity; this client takes part of the machine, too
LAST_ANSWERS_SECONDS = 20.0


@dataclass
class Answers:
    """What came back: statuses (0: no answer), and (arrival, latency), both in seconds, of each request.

    *unsent*: requests for which no connection was free, because `CONNECTIONS` requests were waiting for their answers.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    unsent: int = 0

    def p99(self, start: float = 0.0, end: float = float("inf")) -> float:
        """Return the 99th percentile (seconds) of requests that arrived from *start* until *end*."""
        return float(np.percentile([took for arrival, took in self.latencies if start <= arrival < end], 99))


class _Connection(asyncio.Protocol):
    """One kept-alive connection, which carries one request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._arrival: float | None = None
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, arrival: float) -> None:
        assert self._transport is not None
        self._arrival = arrival
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = read_answer(self._received)
        if answer is not None and self._arrival is not None:
            arrival, self._arrival, self._received = self._arrival, None, b""
            self._load.answered(self, arrival, answer.status)

    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's signature
        self._load.lost(self, self._arrival)
        self._gone.set()

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            await self._gone.wait()


class Load:
    """Sends *request* to *url* over at most `CONNECTIONS` connections, in an open or a closed loop."""

    def __init__(self, url: str, request: bytes) -> None:
        self.request = request
        self._host, self._port = cast(str, urlsplit(url).hostname), cast(int, urlsplit(url).port)
        self._connections: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        self._opened = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._all_in = asyncio.Event()
        self._again_until = 0.0
        self.answers = Answers()

    async def closed_loop(self, seconds: float, connections: int = CLOSED_LOOP) -> Answers:
        """Keep *connections* busy for that many *seconds*."""
        self.answers, self._again_until = Answers(), time.monotonic() + seconds
        for _ in range(connections):
            self._arrive(time.monotonic())
        await self._all_answered()
        return self.answers

    async def open_loop(self, rate: float, seconds: float) -> Answers:
        """Send *rate* requests/s for that many *seconds*, however slow the answers are. Latency is from the arrival."""
        self.answers, self._again_until = Answers(), 0.0
        start = time.monotonic()
        schedule = OpenSchedule(start, rate, start + seconds)
        while (arrival := schedule.take()) is not None:
            await asyncio.sleep(max(0.0, arrival - time.monotonic()))  # 0: answers are read when arrivals are overdue
            self._arrive(arrival)
        await self._all_answered()
        return self.answers

    async def _all_answered(self) -> None:
        async with asyncio.timeout(LAST_ANSWERS_SECONDS):
            await self._all_in.wait()

    def _arrive(self, arrival: float) -> None:
        self._all_in.clear()
        if self._idle:
            self._in_flight += 1
            self._idle.popleft().send(arrival)
        elif self._opened < CONNECTIONS:
            self._in_flight += 1
            self._opened += 1
            task = asyncio.create_task(self._open(arrival))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self.answers.unsent += 1

    async def _open(self, arrival: float) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), self._host, self._port
            )
        except OSError:
            self._opened -= 1
            self._note(arrival, NO_ANSWER)
        else:
            self._connections.add(connection)
            connection.send(arrival)

    def answered(self, connection: _Connection, arrival: float, status: int) -> None:
        """Note an answer, and use its connection again."""
        self._note(arrival, status)
        self._idle.append(connection)
        if time.monotonic() < self._again_until:
            self._arrive(time.monotonic())

    def lost(self, connection: _Connection, arrival: float | None) -> None:
        """Note that a connection is closed; if *arrival*, under a request."""
        self._opened -= 1
        self._connections.discard(connection)
        if arrival is not None:
            self._note(arrival, NO_ANSWER)
        elif connection in self._idle:
            self._idle.remove(connection)

    def _note(self, arrival: float, status: int) -> None:
        self._in_flight -= 1
        self.answers.statuses[status] += 1
        self.answers.latencies.append((arrival, time.monotonic() - arrival))
        if not self._in_flight:
            self._all_in.set()

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections))


@dataclass(frozen=True)
class Overload:
    """Requests/s that the cluster can answer (*capacity*), that were *offered*, and what came back.

    *unsent*: how many of those offered were not even sent, because all connections were waiting for an answer.

    *p99_before*: at a quarter of the capacity, in seconds. *recovered*: seconds from the end of the overload until the
    p99 of one second was at most twice that, at a quarter of the capacity again; None if it never was.
    """

    capacity: float
    offered: float
    unsent: int
    during: Counter[int]
    afterwards: Counter[int]
    p99_before: float
    p99_during: float
    recovered: float | None


async def overload(
    cluster: LocalCluster, strategy: str, seconds: float, *, times: float = 2.0, calm_seconds: float = 10.0
) -> Overload:
    """Ask for my page under *strategy* at *times* the measured capacity, for that many *seconds*."""
    info = next(info for info in INFOS if info.name == strategy)
    async with site_of(cluster, info, directly=False) as site:
        login = await site.log_in(await site.register())
    load = Load(cluster.url, _request(cluster.url, strategy, login))
    try:
        answers = await load.closed_loop(3.0)
        capacity = answers.statuses.total() / 3.0
        before = await load.open_loop(CALM * capacity, calm_seconds)
        during = await load.open_loop(times * capacity, seconds)
        offered = (during.statuses.total() + during.unsent) / seconds
        over = time.monotonic()
        afterwards = await load.open_loop(CALM * capacity, calm_seconds)
    finally:
        await load.close()
    return Overload(
        capacity, offered, during.unsent, during.statuses, afterwards.statuses, before.p99(), during.p99(),
        _recovered(afterwards, over, calm_seconds, 2 * before.p99()),
    )  # fmt: skip


def _recovered(answers: Answers, over: float, seconds: float, limit: float) -> float | None:
    ends: Sequence[float] = [over + second for second in range(1, int(seconds) + 1)]
    return next((end - over for end in ends if answers.p99(end - 1, end) <= limit), None)


def _request(url: str, strategy: str, login: Login) -> bytes:
    fields = {"Host": urlsplit(url).netloc, **login.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET /{strategy}/mypage HTTP/1.1\r\n{lines}\r\n".encode()
