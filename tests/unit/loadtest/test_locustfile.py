"""Locust as one would run it by hand, against a small server in this process."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from loadtest.load.children import ROOT
from tests.unit.loadtest.fakes import FakeApp, serve

LOCUST = (sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py")


class Watched(FakeApp):
    """Notes which strategies are asked, and can wait for a number of pages."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.another = asyncio.Event()

    async def mypage(self, request: web.Request) -> web.Response:
        self.asked.add(request.match_info["s"])
        self.another.set()
        return await super().mypage(request)

    async def has_been_asked(self, *strategies: str, pages: int) -> None:
        """Wait until *strategies* were asked for, and for that many pages in all."""
        while not self.asked.issuperset(strategies) or self.pages < pages:
            self.another.clear()
            await self.another.wait()


class Locust:
    """A running Locust process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def end(self) -> tuple[int | None, str]:
        """Ask it to end; return its exit status and its output."""
        if self._process.returncode is None:
            self._process.terminate()
        return await self.ended()

    async def ended(self) -> tuple[int | None, str]:
        output, _ = await self._process.communicate()
        return self._process.returncode, output.decode()


@asynccontextmanager
async def locust(*arguments: str, **environment: str) -> AsyncIterator[Locust]:
    process = await asyncio.create_subprocess_exec(
        *(*LOCUST, *arguments),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Locust(process)
    finally:
        if process.returncode is None:
            process.kill()


def users(host: str, number: int) -> tuple[str, ...]:
    return ("--headless", "--host", host, "-u", str(number), "-r", "9", "--only-summary")


async def check(*strategies: str, arguments: tuple[str, ...] = (), **environment: str) -> None:
    """Check that three users ask for *strategies* and for nothing else."""
    fake = Watched()
    async with serve(fake) as cluster, locust(*users(cluster.url, 3), *arguments, **environment) as running:
        await fake.has_been_asked(*strategies, pages=9)
        status, output = await running.end()
    assert status == 0, output
    assert fake.asked == set(strategies)


async def test_users_take_turns_in_all_that_the_host_serves() -> None:
    await check("anonymous", "memory", "jwt")


async def test_several_strategies_can_be_named_on_the_command_line_and_in_the_environment() -> None:
    await check("jwt", "anonymous", arguments=("--strategy", "jwt, anonymous"))
    await check("memory", LOCUST_STRATEGY="memory")


async def test_a_strategy_that_is_not_served_stops_the_test_and_says_what_is() -> None:
    async with (
        serve(FakeApp()) as cluster,
        locust(*users(cluster.url, 1), "--strategy", "jwt,nonsense,cookie") as running,
    ):
        status, output = await running.ended()
    assert status == 1
    assert "there is no strategy nonsense, cookie; there are: anonymous, memory, jwt" in output


def distributed(workers: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the options of a master, and of each of its workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    master = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", str(workers))
    return ("--master", *master), ("--worker", "--master-host", "127.0.0.1", "--master-port", port)


async def test_workers_take_the_host_and_the_strategies_of_their_master() -> None:
    fake = Watched()
    master, worker = distributed(2)
    async with (
        serve(fake) as cluster,
        locust(*master, *users(cluster.url, 4), "--strategy", "memory,jwt") as running,
        locust(*worker) as one,
        locust(*worker) as other,
    ):
        await fake.has_been_asked("memory", "jwt", pages=12)
        status, output = await running.end()
        workers = [await one.ended(), await other.ended()]
    assert status == 0, output
    assert fake.asked == {"memory", "jwt"}
    assert [status for status, _ in workers] == [0, 0], workers


async def test_a_master_that_cannot_ask_its_host_ends_with_its_workers() -> None:
    master, worker = distributed(1)
    async with locust(*master, *users("http://127.0.0.1:9", 1)) as running, locust(*worker) as other:
        status, output = await running.ended()
        await other.ended()
    assert status == 1
    assert "GET http://127.0.0.1:9/strategies: " in output
