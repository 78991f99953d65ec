"""Runs the console beside a cluster until somebody ends it."""

import asyncio
import gc
import json
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

import aiohttp
import uvloop
from aiohttp import web

from loadtest.cluster.protocol import Cluster
from loadtest.console.access import Access
from loadtest.console.administrator import Administrator
from loadtest.console.app import create_app
from loadtest.console.beat import Beat
from loadtest.console.cost import OwnCost
from loadtest.console.crowd import Crowd
from loadtest.console.feed import Feed
from loadtest.console.history import Entry, Happening, History
from loadtest.console.picture import Picture
from loadtest.console.stage import Stage
from loadtest.console.tour import Tour
from loadtest.load.client import strategies_of

log = logging.getLogger(__name__)

DEFAULT_TOKEN_SECONDS = 300
REST_SECONDS = 1.0
SELDOM = (20_000, 20, 50)
"""How seldom the garbage collector looks at what requests leave behind: it would cost a tenth of our CPU time."""


@dataclass(frozen=True)
class Options:
    """How to run. *users* in each row; *history*: a file for every request and click, as JSON lines. *reports*: where
    the last report is.
    """

    host: str = "127.0.0.1"
    port: int = 8088
    users: int = 30
    history: Path | None = None
    reports: Path = Path("reports/latest")


def run(cluster: Cluster, options: Options, say: Callable[[str], None]) -> None:
    """Show *cluster* until Ctrl-C or SIGTERM. *say* gets the address. Raises `ClusterError` or `OSError`."""
    gc.freeze()
    gc.set_threshold(*SELDOM)
    uvloop.run(_run(cluster, options, say))


class Console(NamedTuple):
    """All parts, ready to go on."""

    app: web.Application
    access: Access
    stage: Stage
    beat: Beat
    picture: Picture
    feed: Feed
    tour: Tour

    async def go_on(self) -> None:
        """Let people come and ask, watch the cluster and draw, for ever."""
        works = (self.stage.crowd.enter, self.stage.watch, self.beat.run, self.picture.draw)
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(kept_going(work))


async def _run(cluster: Cluster, options: Options, say: Callable[[str], None]) -> None:
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with AsyncExitStack() as stack:
        console = await build(cluster, options, stack)
        runner = web.AppRunner(console.app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, options.host, options.port).start()
        stack.callback(console.feed.close)
        say(console.access.url(options.host))
        going_on = asyncio.create_task(console.go_on())
        await end.wait()
        going_on.cancel()
        await asyncio.wait({going_on})


async def build(cluster: Cluster, options: Options, stack: AsyncExitStack) -> Console:
    """Return the console of *cluster*, which begins nothing by itself. *stack* will close it. Raises `ClusterError`."""
    connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
    strategies = await strategies_of(cluster.url)
    sink = stack.enter_context(options.history.open("w", buffering=1)) if options.history else None
    drawn: list[Picture] = []

    def listener(one: Happening) -> None:
        if not isinstance(one, Entry):
            drawn[0].changed(one.row, one.seat)
        if sink:
            _write(sink, one)

    history = History([strategy.name for strategy in strategies], listener)
    life = float(cluster.settings().get("ACCESS_TOKEN_SECONDS", DEFAULT_TOKEN_SECONDS))
    crowd = Crowd((cluster.url, cluster.url_no_affinity), strategies, options.users, life, history, connector)
    administrator = Administrator(cluster.url, lambda: cluster.secret("admin-password"), connector)
    stage = Stage(cluster, crowd, history, administrator, life)
    beat, feed, tour = Beat(crowd, stage.read_cpu), Feed(), Tour(stage)
    drawn.append(Picture(stage, beat, feed, OwnCost()))
    for closing in (administrator.close, crowd.close, stage.close, beat.close, tour.close):
        stack.push_async_callback(closing)
    access = Access(options.host, options.port)
    app = create_app(access, stage, drawn[0], feed, tour, options.reports)
    return Console(app, access, stage, beat, drawn[0], feed, tour)


async def kept_going(work: Callable[[], Awaitable[None]]) -> None:
    """Do *work* to its end. A fault in one part must not leave a page that only looks alive: it begins anew."""
    while True:
        try:
            return await work()
        except Exception:
            log.exception("%s failed, and begins anew", work.__qualname__)
            await asyncio.sleep(REST_SECONDS)


def _write(sink: TextIO, one: Happening) -> None:
    what = {name: value for name, value in asdict(one).items() if name not in ("effects", "loot")}
    sink.write(json.dumps({"kind": type(one).__name__.lower(), **what}) + "\n")
