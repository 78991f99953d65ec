"""Serves an application until it is told to stop, then drains before it closes."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from functools import partial

import uvloop
from aiohttp import web

from services.common.http.connections import OPTIONS, Connection
from services.common.http.envelope import ENVELOPE
from services.common.http.lifecycle import LIFECYCLE

log = logging.getLogger(__name__)

BACKLOG = 1024  # connections that the kernel keeps for us until we accept them


def run(app: web.Application, *, host: str, port: int, drain_seconds: float) -> None:
    """Serve *app* until SIGTERM or SIGINT, then drain for at most *drain_seconds* and close."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _spare_the_collector()
    uvloop.run(_serve(app, host, port, drain_seconds))


def _spare_the_collector() -> None:
    """Let the garbage collector look at what requests leave behind, less often, and never at what start-up made."""
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
    """Return the connections that wait to be accepted: when the listener is closed, the kernel resets those."""
    waiting = []
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append(listener.accept()[0])
    for connection in waiting:
        connection.setblocking(False)
    return waiting


async def _drained(server: web.Server, seconds: float) -> None:
    """Return when all connections are gone, or after *seconds*. None is taken any more, and each ends with its answer.

    A connection is never closed under a request: nginx closes idle ones itself (`keepalive_timeout` in its upstreams),
    and a used one gets `Connection: close`. So not even a POST, which nginx would not repeat, is lost.
    """
    log.info("draining %d connections", len(server.connections))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while server.connections:  # noqa: ASYNC110  # aiohttp offers no event for this
                await asyncio.sleep(0.05)
    log.info("closing with %d connections open", len(server.connections))
