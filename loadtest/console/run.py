"""Runs the console beside a cluster until somebody ends it."""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import aiohttp
import uvloop
from aiohttp import web

from loadtest.cluster.protocol import Cluster, ClusterError
from loadtest.console.access import Access
from loadtest.console.administrator import Administrator
from loadtest.console.app import create_app
from loadtest.console.beat import Beat
from loadtest.console.cost import OwnCost
from loadtest.console.crowd import Crowd
from loadtest.console.feed import Feed
from loadtest.console.history import Entry, History, Operation
from loadtest.console.picture import Picture
from loadtest.console.stage import Stage
from loadtest.load.client import strategies_of


@dataclass(frozen=True)
class Options:
    """How to run. *users* in each row; *history*: a file for every request and click, as JSON lines."""

    host: str = "127.0.0.1"
    port: int = 8088
    users: int = 30
    history: Path | None = None


def run(cluster: Cluster, options: Options, say: Callable[[str], None]) -> None:
    """Show *cluster* until Ctrl-C. *say* gets the address. Raises `ClusterError` or `OSError`."""
    with suppress(KeyboardInterrupt):
        uvloop.run(_run(cluster, options, say))


async def _run(cluster: Cluster, options: Options, say: Callable[[str], None]) -> None:
    async with AsyncExitStack() as stack:
        stage, beat, picture, feed = await _build(cluster, options, stack)
        access = Access(options.host, options.port)
        runner = web.AppRunner(create_app(access, stage, picture, feed), access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, options.host, options.port).start()
        stack.callback(feed.close)
        say(access.url(options.host))
        async with asyncio.TaskGroup() as group:
            for work in (stage.watch(), beat.run(), picture.draw(), stage.crowd.enter()):
                group.create_task(work)


async def _build(cluster: Cluster, options: Options, stack: AsyncExitStack) -> tuple[Stage, Beat, Picture, Feed]:
    connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
    strategies = await strategies_of(cluster.url)
    sink = stack.enter_context(options.history.open("w")) if options.history else None
    feed = Feed()
    drawn: list[Picture] = []

    def listener(one: Operation | Entry) -> None:
        if isinstance(one, Operation):
            drawn[0].answered(one)
        if sink:
            _write(sink, one)

    history = History([strategy.name for strategy in strategies], listener)
    life = float(cluster.settings().get("ACCESS_TOKEN_SECONDS", 300))
    urls = cluster.url, cluster.url_no_affinity
    crowd = Crowd(urls, strategies, options.users, life, history, connector)
    administrator = Administrator(cluster.url, lambda: cluster.secret("admin-password"), connector)
    stage = Stage(cluster, crowd, history, administrator)
    beat = Beat(crowd, stage.read_cpu)
    drawn.append(Picture(stage, beat, feed, OwnCost()))
    for closing in (administrator.close, crowd.close, stage.close, beat.close):
        stack.push_async_callback(closing)
    return stage, beat, drawn[0], feed


def _write(sink: TextIO, one: Operation | Entry) -> None:
    kind = "operation" if isinstance(one, Operation) else "click"
    what = asdict(one)
    what.pop("effects", None)
    sink.write(json.dumps({"kind": kind, **what}) + "\n")
