"""A console beside the small app of the load tests, served on a free port; nothing of it goes on by itself."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from loadtest.console.run import Console, Options, build
from tests.unit.loadtest.fakes import FakeApp, FakeCluster, serve


@dataclass
class Served:
    """The console, and a viewer's browser."""

    console: Console
    cluster: FakeCluster
    fake: FakeApp
    url: str
    browser: aiohttp.ClientSession
    history: Path

    async def enter(self) -> None:
        """Let the browser in, with the address that the console prints."""
        async with self.browser.get(self.console.access.url("127.0.0.1")) as answer:
            assert answer.status == 200

    async def post(self, path: str, **form: str) -> aiohttp.ClientResponse:
        """Send a form as a page of the console does."""
        headers = {"Origin": self.url, "HX-Request": "true"}
        async with self.browser.post(f"{self.url}{path}", data=form, headers=headers) as answer:
            await answer.read()
        return answer

    async def settled(self) -> None:
        """Wait until what was begun by clicks is over."""
        await self.console.stage.finished()

    async def ask_around(self) -> None:
        """Let everybody ask for their page once."""
        for strategy in self.console.stage.strategies:
            await self.console.beat.turn(strategy)
        await self.console.beat.answered()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    fake, port = FakeApp(), unused_port()
    url = f"http://127.0.0.1:{port}"
    async with serve(fake) as cluster, AsyncExitStack() as stack:
        options = Options(port=port, users=2, history=tmp_path / "history.jsonl", reports=tmp_path / "reports")
        console = await build(cluster, options, stack)
        runner = web.AppRunner(console.app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(console.feed.close)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        jar = aiohttp.CookieJar(unsafe=True)
        browser = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
        await console.stage.look()
        await console.stage.crowd.enter()
        yield Served(console, cluster, fake, url, browser, tmp_path / "history.jsonl")
