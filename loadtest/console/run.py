"""Runs the console beside a cluster until somebody ends it."""

import asyncio
import gc
import json
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

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


async def _run(cluster: Cluster, options: Options, say: Callable[[str], None]) -> None:
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with AsyncExitStack() as stack:
        stage, beat, picture, feed = await _build(cluster, options, stack)
        tour = Tour(stage)
        stack.push_async_callback(tour.close)
        access = Access(options.host, options.port)
        runner = web.AppRunner(
            create_app(access, stage, picture, feed, tour, options.reports), access_log=None, shutdown_timeout=1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, options.host, options.port).start()
        stack.callback(feed.close)
        say(access.url(options.host))
        async with asyncio.TaskGroup() as group:
            works = [group.create_task(one) for one in (stage.watch(), beat.run(), picture.draw(), stage.crowd.enter())]
            await end.wait()
            for work in works:
                work.cancel()


async def _build(cluster: Cluster, options: Options, stack: AsyncExitStack) -> tuple[Stage, Beat, Picture, Feed]:
    connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
    strategies = await strategies_of(cluster.url)
    sink = stack.enter_context(options.history.open("w")) if options.history else None
    feed = Feed()
    drawn: list[Picture] = []

    def listener(one: Happening) -> None:
        if not isinstance(one, Entry):
            drawn[0].changed(one.row, one.seat)
        if sink:
            _write(sink, one)

    history = History([strategy.name for strategy in strategies], listener)
    life = float(cluster.settings().get("ACCESS_TOKEN_SECONDS", 300))
    urls = cluster.url, cluster.url_no_affinity
    crowd = Crowd(urls, strategies, options.users, life, history, connector)
    administrator = Administrator(cluster.url, lambda: cluster.secret("admin-password"), connector)
    stage = Stage(cluster, crowd, history, administrator, life)
    beat = Beat(crowd, stage.read_cpu)
    drawn.append(Picture(stage, beat, feed, OwnCost()))
    for closing in (administrator.close, crowd.close, stage.close, beat.close):
        stack.push_async_callback(closing)
    return stage, beat, drawn[0], feed


def _write(sink: TextIO, one: Happening) -> None:
    what = {name: value for name, value in asdict(one).items() if name not in ("effects", "loot")}
    sink.write(json.dumps({"kind": type(one).__name__.lower(), **what}) + "\n")
