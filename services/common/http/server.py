"""Serves an application until it is told to stop, then drains before it closes."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import uvloop
from aiohttp import web

from services.common.http.connections import OPTIONS, Connection
from services.common.http.envelope import ENVELOPE
from services.common.http.lifecycle import LIFECYCLE
from services.common.settings import CommonSettings, ConfigurationError, read_settings

log = logging.getLogger(__name__)

BACKLOG = 1024  # connections that may wait in the kernel to be accepted

S = TypeVar("S", bound=CommonSettings)


def serve(kind: type[S], create_app: Callable[[S], web.Application]) -> None:
    """Read the settings, serve the application until SIGTERM or SIGINT, then drain and close.

    If the configuration is wrong, the process ends with status `EX_CONFIG`: starting it again would not help.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = read_settings(kind)
        app = create_app(settings)
        _spare_the_collector()
        uvloop.run(_serve(app, settings.host, settings.port, settings.drain_seconds))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(os.EX_CONFIG)


def _spare_the_collector() -> None:
    """Let the garbage collector run less often, and never look at the objects that start-up created."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(app: web.Application, host: str, port: int, drain_seconds: float) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, shutdown_timeout=1)
    try:
        await runner.setup()
        server = runner.server
        assert server is not None  # noqa: S101  # set up above
        connect = partial(Connection, server, app[ENVELOPE].sign, loop=loop, **OPTIONS)
        with socket.create_server((host, port), backlog=BACKLOG) as listener:
            listener.setblocking(False)
            listening = await loop.create_server(connect, sock=listener, backlog=BACKLOG)
            log.info("serving on %s:%d", host, port)
            await stop.wait()
            app[LIFECYCLE].draining = True
            waiting = _accept_waiting(listener)
            listening.close()
        for connection in waiting:
            await loop.connect_accepted_socket(connect, connection)
        await _drained(server, drain_seconds)
    finally:
        await runner.cleanup()


def _accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Accept the connections that wait in the kernel, which would reset them when the listener is closed."""
    waiting = []
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append(listener.accept()[0])
    for connection in waiting:
        connection.setblocking(False)
    return waiting


async def _drained(server: web.Server, seconds: float) -> None:
    """Wait until all connections have ended, each with its next answer, but at most *seconds*. None are accepted now.

    A connection is never closed under a request: nginx closes idle ones itself (`keepalive_timeout` in its upstreams),
    and the others get `Connection: close`. So no request is lost, not even a POST, which nginx would not repeat.
    """
    log.info("draining %d connections", len(server.connections))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while server.connections:  # noqa: ASYNC110  # aiohttp offers no event for this
                await asyncio.sleep(0.05)
    log.info("closing with %d connections open", len(server.connections))
